import { sql, type RawBuilder } from 'kysely';
import type { CommunicationDb } from './schema.js';

const before = (seconds: number): RawBuilder<Date> => sql`now() - make_interval(secs => ${seconds})`;

/** Ends open deliveries whose time to live has passed, a chunk at a time. @returns how many. */
export async function deadLetterExpired(db: CommunicationDb, limit: number): Promise<number> {
  const { rows } = await sql<{ ended: number }>`
    with expired as (
      select d.inbox_no, d.sequence from deliveries d
      where d.expires_at <= now() and (d.lease_expires_at is null or d.lease_expires_at <= now())
      order by d.expires_at limit ${limit} for update skip locked
    )
    select coalesce(dead_letter_deliveries(array_agg(inbox_no), array_agg(sequence), 'expired',
      'Its time to live ended before it was acked'), 0) as ended from expired`.execute(db);
  return rows[0]?.ended ?? 0;
}

export interface RetentionRules {
  /** How long ended deliveries can be looked at and a message's id is known. */
  readonly retentionSeconds: number;
  readonly deadLetterRetentionSeconds: number;
  readonly limit: number;
}

/**
 * Deletes what is past its retention, a bounded chunk of each table, children first.
 * @returns rows deleted from the table that lost the most; `limit` or more means that there may be more.
 */
export async function pruneChunk(
  db: CommunicationDb,
  { retentionSeconds, deadLetterRetentionSeconds, limit }: RetentionRules,
): Promise<number> {
  const { numAffectedRows: ended = 0n } = await sql`
    delete from delivery_history where ctid = any(array(
      select ctid from delivery_history where ended_at < ${before(retentionSeconds)} limit ${limit}))`.execute(db);
  const { numAffectedRows: letters = 0n } = await sql`
    delete from dead_letters where no in (
      select no from dead_letters where created_at < ${before(deadLetterRetentionSeconds)} limit ${limit})`.execute(db);
  const { numAffectedRows: messages = 0n } = await sql`
    delete from messages where no in (
      select m.no from messages m where m.time < ${before(retentionSeconds)}
        and not exists (select from deliveries d where d.message_no = m.no)
        and not exists (select from delivery_history h where h.message_no = m.no)
        and not exists (select from dead_letters l where l.message_no = m.no)
        and not exists (select from retained_messages r where r.message_no = m.no)
      limit ${limit})`.execute(db);
  await db
    .deleteFrom('receipts as r')
    .where('r.deadlineAt', '<', before(retentionSeconds))
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('messages as m').select('m.no').whereRef('m.no', '=', 'r.messageNo'))),
    )
    .execute();
  await db.deleteFrom('operationChanges').where('changedAt', '<', before(retentionSeconds)).execute();
  await db.deleteFrom('latencies').where('slot', '<', before(86_400)).execute();
  const { numDeletedRows: batches } = await db
    .deleteFrom('batches')
    .where('createdAt', '<', before(Math.max(86_400, retentionSeconds)))
    .executeTakeFirst();
  return Math.max(...[ended, letters, messages, batches].map(Number));
}
