import { sql } from 'kysely';
import type { CommunicationDb } from './schema.js';

/** Ends open deliveries whose time to live is over, a chunk at a time. @returns how many. */
export async function deadLetterExpired(db: CommunicationDb, limit: number): Promise<number> {
  const { rows } = await sql<{ buried: number }>`
    with over as (
      select d.inbox_no, d.sequence from deliveries d
      where d.expires_at <= now() and (d.lease_expires_at is null or d.lease_expires_at <= now())
      order by d.expires_at limit ${limit} for update skip locked
    )
    select coalesce(dead_letter_deliveries(array_agg(inbox_no), array_agg(sequence), 'expired',
      'Its time to live was over before it was acked'), 0) as buried from over`.execute(db);
  return rows[0]?.buried ?? 0;
}

export interface RetentionRules {
  /** How long what has ended can still be looked at, and a message's id is known. */
  readonly retentionSeconds: number;
  readonly deadLetterRetentionSeconds: number;
  readonly limit: number;
}

/**
 * Deletes what is past its retention, a bounded chunk of each table, children first.
 * @returns rows deleted; as many as `limit` means that there is more.
 */
export async function pruneChunk(
  db: CommunicationDb,
  { retentionSeconds, deadLetterRetentionSeconds, limit }: RetentionRules,
): Promise<number> {
  const chunk = async (query: ReturnType<typeof sql>): Promise<number> =>
    Number((await query.execute(db)).numAffectedRows ?? 0n);
  const settled = await chunk(sql`
    delete from delivery_history where ctid = any(array(
      select ctid from delivery_history where ended_at < now() - make_interval(secs => ${retentionSeconds}) limit ${limit}))`);
  const letters = await chunk(sql`
    delete from dead_letters where no in (
      select no from dead_letters where created_at < now() - make_interval(secs => ${deadLetterRetentionSeconds}) limit ${limit})`);
  const messages = await chunk(sql`
    delete from messages where no in (
      select m.no from messages m where m.time < now() - make_interval(secs => ${retentionSeconds})
        and not exists (select 1 from deliveries d where d.message_no = m.no)
        and not exists (select 1 from delivery_history s where s.message_no = m.no)
        and not exists (select 1 from dead_letters x where x.message_no = m.no)
        and not exists (select 1 from retained_messages r where r.message_no = m.no)
      limit ${limit})`);
  const others = await chunk(sql`
    with receipts_past as (
      delete from receipts r where not exists (select 1 from messages m where m.no = r.message_no)
        and r.deadline_at < now() - make_interval(secs => ${retentionSeconds})
    ), latencies_past as (
      delete from latencies where slot < now() - interval '1 day'
    )
    delete from batches where created_at < now() - make_interval(secs => ${Math.max(86_400, retentionSeconds)})`);
  return Math.max(settled, letters, messages, others);
}

/** Topics that were to end when their mail has, and has. @returns their names. */
export async function deleteDrainedTopics(db: CommunicationDb): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`
    delete from topics t where t.state = 'draining' and not exists (
      select 1 from deliveries d join messages m on m.no = d.message_no where m.topic = t.name) returning t.name`.execute(
    db,
  );
  return rows.map(({ name }) => name);
}

/** Ends the subscriptions of agents whose lease has been lapsed for so long. @returns how many. */
export async function deleteLapsedSubscriptions(db: CommunicationDb, graceSeconds: number): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from subscriptions s using inboxes i where i.no = s.inbox_no and i.agent_status = 'lapsed'
      and i.lapsed_at < now() - make_interval(secs => ${graceSeconds})`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
