import { retryOnDeadlock } from '../database.js';
import { queryRows } from '../expressions.js';
import { packedTexts } from '../packed-texts.js';
import type { CommunicationDb, Row } from './schema.js';

interface Recipient {
  readonly agentId: string;
  readonly via: string;
}

type MessageRow = Row<'messages'>;

/** A message with the recipients that were found for it. */
export interface RoutedMessage extends Pick<MessageRow, 'id' | 'source' | 'kind' | 'type' | 'clusterId' | 'epoch'> {
  readonly to: unknown;
  /** The epoch of each cluster, for a message to several. */
  readonly clusterEpochs?: MessageRow['clusterEpochs'] | undefined;
  readonly topic?: string | undefined;
  readonly partitionKey?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly replyTo?: string | undefined;
  readonly operationId?: string | undefined;
  /** Hex SHA-256 of what the sender wrote: the same id with another hash is another message. */
  readonly hash: string;
  readonly ttlSeconds: number;
  /** JSON text. */
  readonly data: string;
  readonly recipients: readonly Recipient[];
  /** At most one recipient: when its inbox is full the message is rejected, not dead-lettered. */
  readonly single: boolean;
  /** Why it has no recipients: it is stored, with a dead letter. */
  readonly deadLetter?: { readonly reason: string; readonly detail: string } | undefined;
  readonly retain?: boolean | undefined;
}

export interface AcceptOutcome {
  readonly outcome: 'accepted' | 'duplicate' | 'conflict' | 'full';
  readonly matched: number;
}

/**
 * Stores messages and their deliveries in one transaction; the same (source, id) again changes nothing.
 * @param options.epochs of the routing tables that were used; when another one is in force the call is `stale`.
 * @param options.inboxLimit open deliveries that an inbox holds at most.
 * @returns an outcome for each message, or `stale`: nothing was stored.
 */
export async function acceptRoutedMessages(
  db: CommunicationDb,
  messages: readonly RoutedMessage[],
  { epochs, inboxLimit }: { readonly epochs: ReadonlyMap<string, number>; readonly inboxLimit: number },
): Promise<readonly AcceptOutcome[] | 'stale'> {
  // JSON.stringify leaves out what is undefined.
  const heads = messages.map((message) => ({
    ...message,
    data: undefined,
    recipients: undefined,
    matched: message.recipients.length,
  }));
  const ofRecipients = <Value>(read: (recipient: Recipient, index: number) => Value): Value[] =>
    messages.flatMap(({ recipients }, index) => recipients.map((recipient) => read(recipient, index)));
  const rows = await retryOnDeadlock(
    () => queryRows<AcceptOutcome & { readonly messageIndex: number }>(db)`
    select * from accept_messages(
      new_messages => ${JSON.stringify(heads)}::jsonb,
      bodies => ${packedTexts(messages.map(({ data }) => data))}::text[],
      recipient_messages => ${ofRecipients((_, index) => index)}::integer[],
      recipient_agents => ${ofRecipients(({ agentId }) => agentId)}::text[],
      recipient_vias => ${ofRecipients(({ via }) => via)}::text[],
      epochs => ${JSON.stringify(Object.fromEntries(epochs))}::jsonb, inbox_limit => ${inboxLimit})`,
  );
  if (rows.some(({ messageIndex }) => messageIndex < 0)) return 'stale';
  const outcomes: AcceptOutcome[] = messages.map((message) => ({
    outcome: 'accepted',
    matched: message.recipients.length,
  }));
  for (const { messageIndex, outcome, matched } of rows) outcomes[messageIndex] = { outcome, matched };
  return outcomes;
}
