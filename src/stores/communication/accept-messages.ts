import { sql } from 'kysely';
import { retryOnDeadlock } from '../retry-on-deadlock.js';
import { packedTexts } from '../packed-texts.js';
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
export async function acceptRoutedMessages(
  db: CommunicationDb,
  messages: readonly RoutedMessage[],
  { epochs, mailbox }: { readonly epochs: ReadonlyMap<string, number>; readonly mailbox: number },
): Promise<readonly AcceptOutcome[] | 'stale'> {
  const agents = new Map<string, number>();
  const placeOf = (agentId: string): number => {
    const known = agents.get(agentId);
    if (known !== undefined) return known;
    agents.set(agentId, agents.size + 1);
    return agents.size;
  };
  const routes = messages.flatMap(({ recipients, partitionKey }, index) =>
    recipients.map(({ agentId, via }) => ({ index, agent: placeOf(agentId), via, key: partitionKey ?? null })),
  );
  const heads = messages.map(
    ({ data: _data, recipients: _recipients, dead: _dead, ttl: _ttl, retain: _retain, ...head }) => head,
  );
  const indexesOf = (which: (message: RoutedMessage) => unknown): number[] =>
    messages.flatMap((message, index) => (which(message) ? [index] : []));
  const dead = indexesOf((message) => message.dead);
  const { rows } = await retryOnDeadlock(() =>
    sql<AcceptOutcome & { ordinal: number }>`
    select ordinal, outcome, matched from accept_mail(${JSON.stringify(heads)}::jsonb,
      ${packedTexts(messages.map(({ data }) => data))}::text[], ${messages.map(({ recipients }) => recipients.length)}::integer[],
      ${messages.map(({ ttl }) => ttl)}::double precision[],
      ${[...agents.keys()]}::text[], ${routes.map(({ index }) => index)}::integer[],
      ${routes.map(({ agent }) => agent)}::integer[], ${routes.map(({ via }) => via)}::text[],
      ${routes.map(({ key }) => key)}::text[],
      ${dead}::integer[], ${dead.map((index) => messages[index]?.dead?.reason)}::text[],
      ${dead.map((index) => messages[index]?.dead?.detail)}::text[], ${indexesOf(({ retain }) => retain)}::integer[],
      ${[...epochs.keys()]}::text[], ${[...epochs.values()]}::integer[], ${mailbox})`.execute(db),
  );
  if (rows.some(({ ordinal }) => ordinal < 0)) return 'stale';
  const outcomes: AcceptOutcome[] = messages.map(({ recipients }) => ({
    outcome: 'accepted',
    matched: recipients.length,
  }));
  for (const { ordinal, outcome, matched } of rows) outcomes[ordinal] = { outcome, matched };
  return outcomes;
}
