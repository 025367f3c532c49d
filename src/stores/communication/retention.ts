import { deletePast, queryRow, queryRows, secondsAgo, type Retention } from '../expressions.js';
import type { CommunicationDb, CommunicationSchema } from './schema.js';

const daySeconds = 86_400;

/** Ends open deliveries whose time to live has passed, a chunk at a time. @returns how many. */
export async function deadLetterExpired(db: CommunicationDb, limit: number): Promise<number> {
  const row = await queryRow<{ ended: number }>(db)`
    with expired as (
      select d.inbox_no, d.sequence from deliveries d
      where d.expires_at <= now() and (d.lease_expires_at is null or d.lease_expires_at <= now())
      order by d.expires_at limit ${limit} for update skip locked
    )
    select coalesce(dead_letter_deliveries(array_agg(inbox_no), array_agg(sequence), 'expired',
      'Its time to live ended before it was acked'), 0) as ended from expired`;
  return row?.ended ?? 0;
}

export interface RetentionRules {
  /** How long ended deliveries can be looked at and a message's id is known. */
  readonly retentionSeconds: number;
  readonly deadLetterRetentionSeconds: number;
  readonly limit: number;
  /** Batches that unfinished operations name. */
  readonly keptBatches: readonly string[];
}

/**
 * Deletes what is past its retention, a bounded chunk of each table, children first.
 * @returns rows deleted from the table that lost the most; `limit` or more means that there may be more.
 */
export async function pruneChunk(
  db: CommunicationDb,
  { retentionSeconds, deadLetterRetentionSeconds, limit, keptBatches }: RetentionRules,
): Promise<number> {
  const past = (table: keyof CommunicationSchema, column: string, keepSeconds: number): Promise<number> =>
    deletePast(db, table, column, { keepSeconds, limit });
  const deleted = [
    await past('deliveryHistory', 'endedAt', retentionSeconds),
    await past('deadLetters', 'createdAt', deadLetterRetentionSeconds),
    await deleteUnusedMessages(db, { keepSeconds: retentionSeconds, limit }),
    await past('operationChanges', 'changedAt', retentionSeconds),
    await past('latencies', 'slot', daySeconds),
    await deleteBatches(db, keptBatches, { keepSeconds: Math.max(daySeconds, retentionSeconds), limit }),
  ];
  await queryRow(db)`
    delete from receipts r where r.deadline_at < ${secondsAgo(retentionSeconds)}
      and not exists (select from messages m where m.no = r.message_no)`;
  return Math.max(...deleted);
}

async function deleteBatches(
  db: CommunicationDb,
  kept: readonly string[],
  { keepSeconds, limit }: Retention,
): Promise<number> {
  const deleted = await queryRows(db)`
    delete from batches where id in (
      select id from batches where created_at < ${secondsAgo(keepSeconds)} and id <> all(${kept}::text[])
      limit ${limit}) returning id`;
  return deleted.length;
}

/** Deletes messages past their retention that no other table names. @returns how many. */
async function deleteUnusedMessages(db: CommunicationDb, { keepSeconds, limit }: Retention): Promise<number> {
  const deleted = await queryRows(db)`
    delete from messages where no in (
      select m.no from messages m where m.time < ${secondsAgo(keepSeconds)}
        and not exists (select from deliveries d where d.message_no = m.no)
        and not exists (select from delivery_history h where h.message_no = m.no)
        and not exists (select from dead_letters l where l.message_no = m.no)
        and not exists (select from retained_messages r where r.message_no = m.no)
      limit ${limit}) returning no`;
  return deleted.length;
}
