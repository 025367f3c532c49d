import { sql } from 'kysely';
import { isDatabaseError } from '../database.js';
import type { CommunicationDb, CommunicationSchema } from './schema.js';

/** A message with the recipients that were found for it. */
export interface RoutedMessage {
  readonly id: string;
  readonly source: string;
  readonly kind: CommunicationSchema['messages']['kind'];
  readonly to: unknown;
  readonly type: string;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  /** The epoch of each cluster, when it went to several. */
  readonly routed?: Readonly<Record<string, number>>;
  readonly topic?: string;
  readonly partitionKey?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly operationId?: string;
  /** Hex SHA-256 of what the sender wrote: the same id with another one is another message. */
  readonly hash: string;
  readonly ttl: number;
  /** JSON text. */
  readonly data: string;
  readonly recipients: readonly { readonly agentId: string; readonly via: string }[];
  /** One recipient or none at all: when its mailbox is full the message is refused, not buried. */
  readonly single: boolean;
  /** Why it matched nobody: it is stored, and a dead letter says so. */
  readonly dead?: { readonly reason: string; readonly detail: string } | undefined;
  readonly retain?: boolean;
}

export interface AcceptOutcome {
  readonly outcome: 'accepted' | 'duplicate' | 'conflict' | 'full';
  readonly matched: number;
}

/**
 * Stores messages and their deliveries in one transaction; the same (source, id) again changes nothing.
 * @param epochs of the routing tables that were used; another one in force now makes the call `stale`.
 * @param mailbox open deliveries that an inbox holds at most.
 * @returns an outcome for each message, or `stale`.
 */
export async function acceptMail(
  db: CommunicationDb,
  messages: readonly RoutedMessage[],
  { epochs, mailbox }: { readonly epochs: ReadonlyMap<string, number>; readonly mailbox: number },
): Promise<readonly AcceptOutcome[] | 'stale'> {
  const routes = messages.flatMap(({ recipients }, index) => recipients.map((recipient) => ({ index, ...recipient })));
  const heads = messages.map(({ data: _data, recipients: _recipients, dead, ...head }) =>
    dead ? { ...head, dead: dead.reason, deadDetail: dead.detail } : head,
  );
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { rows } = await sql<AcceptOutcome & { ordinal: number; outcome: string }>`
        select ordinal, outcome, matched from accept_mail(${JSON.stringify(heads)}::jsonb,
          ${messages.map(({ data }) => data)}::text[], ${routes.map(({ index }) => index)}::integer[],
          ${routes.map(({ agentId }) => agentId)}::text[], ${routes.map(({ via }) => via)}::text[],
          ${[...epochs.keys()]}::text[], ${[...epochs.values()]}::integer[], ${mailbox})`.execute(db);
      if (rows.some(({ ordinal }) => ordinal < 0)) return 'stale';
      const outcomes = new Array<AcceptOutcome>(messages.length);
      for (const { ordinal, outcome, matched } of rows) outcomes[ordinal] = { outcome, matched };
      return outcomes;
    } catch (error) {
      // The same message is being accepted by somebody else: with theirs committed it is known.
      const isRace = isDatabaseError(error, 'messages_once') || (error as { code?: string }).code === '40P01';
      if (!isRace || attempt >= 5) throw error;
    }
  }
}
