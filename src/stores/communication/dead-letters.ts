import { sql } from 'kysely';
import type { DeadLetterView, DeadLetterReason } from '../../contracts/messages.js';
import type { DeliveryKey } from './delivery-id.js';
import type { CommunicationDb } from './schema.js';

export interface DeadLetterFilter {
  readonly state?: DeadLetterView['state'];
  readonly reason?: DeadLetterReason;
  readonly recipient?: string;
  readonly clusterId?: string;
  /** Only older ones: the number of the last dead letter of the page before. */
  readonly before?: number;
  readonly limit: number;
}

export interface DeadLetterRow extends Omit<DeadLetterView, 'id' | 'at' | 'endedAt'> {
  readonly no: number;
  readonly messageNo: number;
  readonly inboxNo: number | null;
  readonly at: Date;
  readonly endedAt: Date | null;
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
  const { rows } = await sql<{ ended: number }>`
    select dead_letter_deliveries(${deliveries.map(({ inboxNo }) => inboxNo)}, ${deliveries.map(({ sequence }) => sequence)},
      ${reason}, ${detail}) as ended`.execute(db);
  return rows[0]?.ended ?? 0;
}

const selectDeadLetters = (db: CommunicationDb) =>
  db
    .selectFrom('deadLetters as l')
    .innerJoin('messages as m', 'm.no', 'l.messageNo')
    .select(['l.no', 'l.messageNo', 'l.inboxNo', 'm.id as messageId', 'm.source', 'm.type', 'm.address as to'])
    .select(['l.recipient', 'm.clusterId', 'l.reason', 'l.detail', 'l.attempts', 'l.state', 'l.createdAt as at'])
    .select(['l.endedAt', 'l.endedBy']);

/** Newest first. */
export async function listDeadLetters(db: CommunicationDb, filter: DeadLetterFilter): Promise<DeadLetterRow[]> {
  const { state, reason, recipient, clusterId, before, limit } = filter;
  return selectDeadLetters(db)
    .$if(state !== undefined, (query) => query.where('l.state', '=', state ?? 'dead'))
    .$if(reason !== undefined, (query) => query.where('l.reason', '=', reason as DeadLetterReason))
    .$if(recipient !== undefined, (query) => query.where('l.recipient', '=', recipient ?? ''))
    .$if(clusterId !== undefined, (query) => query.where('m.clusterId', '=', clusterId ?? ''))
    .$if(before !== undefined, (query) => query.where('l.no', '<', before ?? 0))
    .orderBy('l.no', 'desc')
    .limit(limit)
    .execute();
}

export async function findDeadLetter(db: CommunicationDb, no: number): Promise<DeadLetterRow | undefined> {
  return selectDeadLetters(db).where('l.no', '=', no).executeTakeFirst();
}

/** Discards a dead letter. @returns false when it was replayed or discarded before. */
export async function discardDeadLetter(db: CommunicationDb, no: number, by: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('deadLetters')
    .set({ state: 'discarded', endedAt: sql<Date>`clock_timestamp()`, endedBy: by })
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
  const { rows } = await sql<{ isEnded: boolean; delivered: number }>`
    with locked as materialized (
      select i.no, i.next_sequence, w.via from unnest(${recipients.map(({ agentId }) => agentId)}::text[],
        ${recipients.map(({ via }) => via)}::text[]) as w (agent_id, via)
      join inboxes i on i.agent_id = w.agent_id and i.agent_status <> 'left' order by i.no for update of i
    ), ended as (
      update dead_letters l set state = 'replayed', ended_at = clock_timestamp(), ended_by = ${by}
      where l.no = ${letter.no} and l.state = 'dead' and exists (select from locked) returning l.no
    ), delivered as (
      insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at)
      select i.no, i.next_sequence, m.no, i.via, m.partition_key, now() + make_interval(secs => ${ttlSeconds})
      from locked i, ended, messages m where m.no = ${letter.messageNo} returning inbox_no
    ), advanced as (
      update inboxes i set next_sequence = i.next_sequence + 1 from delivered d where i.no = d.inbox_no
    )
    select exists (select from ended) as is_ended, (select count(*) from delivered) as delivered`.execute(db);
  return rows[0]?.isEnded ? rows[0].delivered : undefined;
}
