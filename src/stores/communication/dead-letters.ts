import { sql } from 'kysely';
import { andEqual, now, queryRow, queryRows, secondsFromNow } from '../expressions.js';
import type { DeliveryKey } from './delivery-id.js';
import type { CommunicationDb, Row } from './schema.js';

export interface DeadLetterFilter extends Partial<
  Pick<DeadLetterRow, 'state' | 'reason'> & Record<'recipient' | 'clusterId', string>
> {
  /** Only older ones: the number of the last dead letter of the page before. */
  readonly after?: number;
  readonly limit: number;
}

export interface DeadLetterRow
  extends Omit<Row<'deadLetters'>, 'sequence' | 'createdAt'>, Pick<Row<'messages'>, 'source' | 'type' | 'clusterId'> {
  readonly messageId: string;
  readonly to: unknown;
  readonly at: Date;
}

export const deadLetterIdOf = (no: number): string => `dead_${no}`;

/** @returns undefined for a text that is no dead letter's id. */
export function deadLetterNoOf(id: string): number | undefined {
  const no = Number(/^dead_([0-9]{1,15})$/.exec(id)?.[1]);
  return Number.isSafeInteger(no) ? no : undefined;
}

/** Ends open deliveries as dead letters. @returns how many were still open. */
export async function deadLetterDeliveries(
  db: CommunicationDb,
  deliveries: readonly DeliveryKey[],
  reason: string,
  detail: string,
): Promise<number> {
  const row = await queryRow<{ ended: number }>(db)`
    select dead_letter_deliveries(${deliveries.map(({ inboxNo }) => inboxNo)}, ${deliveries.map(({ sequence }) => sequence)},
      ${reason}, ${detail}) as ended`;
  return row?.ended ?? 0;
}

const selectDeadLetters = sql`
  select l.no, l.message_no, l.inbox_no, m.id as message_id, m.source, m.type, m.address as to, l.recipient, m.cluster_id,
    l.reason, l.detail, l.attempts, l.state, l.created_at as at, l.ended_at, l.ended_by
  from dead_letters l join messages m on m.no = l.message_no`;

/** Newest first. */
export const listDeadLetters = (
  db: CommunicationDb,
  { state, reason, recipient, clusterId, after, limit }: DeadLetterFilter,
): Promise<DeadLetterRow[]> => queryRows<DeadLetterRow>(db)`
  ${selectDeadLetters} where l.no < ${after ?? Number.MAX_SAFE_INTEGER}
    ${andEqual({ 'l.state': state, 'l.reason': reason, 'l.recipient': recipient, 'm.clusterId': clusterId })}
  order by l.no desc limit ${limit}`;

export const findDeadLetter = (db: CommunicationDb, no: number): Promise<DeadLetterRow | undefined> =>
  queryRow<DeadLetterRow>(db)`${selectDeadLetters} where l.no = ${no}`;

/** Discards a dead letter. @returns false when it was replayed or discarded before. */
export async function discardDeadLetter(db: CommunicationDb, no: number, by: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('deadLetters')
    .set({ state: 'discarded', endedAt: now, endedBy: by })
    .where('no', '=', no)
    .where('state', '=', 'dead')
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * Delivers a dead letter once more, to the end of each recipient's inbox and with all its attempts, and ends the dead
 * letter in the same transaction, so that it is replayed once however often it is asked for.
 * @param recipients of today.
 * @returns the number of recipients, or undefined when the dead letter was ended before or no recipient has an inbox.
 */
export async function replayDeadLetter(
  db: CommunicationDb,
  letter: Pick<DeadLetterRow, 'no' | 'messageNo'>,
  recipients: readonly { readonly agentId: string; readonly via: string }[],
  { by, ttlSeconds }: { readonly by: string; readonly ttlSeconds: number },
): Promise<number | undefined> {
  const row = await queryRow<{ isEnded: boolean; delivered: number }>(db)`
    with locked as materialized (
      select i.no, i.next_sequence, w.via from unnest(${recipients.map(({ agentId }) => agentId)}::text[],
        ${recipients.map(({ via }) => via)}::text[]) as w (agent_id, via)
      join inboxes i on i.agent_id = w.agent_id and i.agent_status <> 'left' order by i.no for update of i
    ), ended as (
      update dead_letters l set state = 'replayed', ended_at = clock_timestamp(), ended_by = ${by}
      where l.no = ${letter.no} and l.state = 'dead' and exists (select from locked) returning l.no
    ), delivered as (
      insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at)
      select i.no, i.next_sequence, m.no, i.via, m.partition_key, ${secondsFromNow(ttlSeconds)}
      from locked i, ended, messages m where m.no = ${letter.messageNo} returning inbox_no
    ), advanced as (
      update inboxes i set next_sequence = i.next_sequence + 1 from delivered d where i.no = d.inbox_no
    )
    select exists (select from ended) as is_ended, (select count(*) from delivered) as delivered`;
  return row?.isEnded ? row.delivered : undefined;
}
