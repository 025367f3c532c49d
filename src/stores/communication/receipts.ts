import { sql } from 'kysely';
import type { ReceiptView, Requirement } from '../../contracts/messages.js';
import type { CommunicationDb } from './schema.js';

export interface ReceiptRow {
  readonly messageNo: number;
  readonly messageId: string;
  readonly source: string;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly matched: number;
  readonly delivered: number;
  readonly acked: number;
  readonly dead: number;
  readonly left: number;
  readonly pending: number;
  readonly require: Requirement | null;
  readonly deadlineAt: Date | null;
  readonly state: ReceiptView['state'] | null;
  /** Until the deadline, by the database's clock; negative after it, null without one. */
  readonly secondsLeft: number | null;
  /** The counts as they were when the receipt was settled. */
  readonly settled: Pick<ReceiptView, 'matched' | 'delivered' | 'acked' | 'dead' | 'left' | 'pending'> | null;
}

/** What is asked of a broadcast, written once. */
export async function openReceipt(
  db: CommunicationDb,
  { id, source }: { readonly id: string; readonly source: string },
  { require, deadlineSeconds }: { readonly require: Requirement; readonly deadlineSeconds: number },
): Promise<void> {
  await sql`
    insert into receipts (message_no, require, deadline_at)
    select no, ${require}, time + make_interval(secs => ${deadlineSeconds}) from messages
    where id = ${id} and source = ${source} on conflict do nothing`.execute(db);
}

/**
 * Counts what became of messages. A member that went away before its ack counts as left, not as dead; a copy that was
 * re-addressed is counted where it went.
 * @param which messages, by id and, unless any will do, by sender.
 */
export async function countReceipts(
  db: CommunicationDb,
  which: readonly { readonly id: string; readonly source?: string }[],
): Promise<ReceiptRow[]> {
  const { rows } = await sql<ReceiptRow>`
    select m.no as "messageNo", m.id as "messageId", m.source, m.cluster_id as "clusterId", m.epoch,
      coalesce(o.open, 0) + coalesce(s.acked, 0) + coalesce(x.dead, 0) + coalesce(x.gone, 0) as matched,
      h.delivered, coalesce(s.acked, 0) as acked,
      coalesce(x.dead, 0) as dead, coalesce(x.gone, 0) as "left", coalesce(o.open, 0) as pending,
      r.require, r.deadline_at as "deadlineAt", r.state, extract(epoch from r.deadline_at - clock_timestamp()) as "secondsLeft",
      r.counts as settled
    from unnest(${which.map(({ id }) => id)}::text[], ${which.map(({ source }) => source ?? null)}::text[]) as w (id, source)
    join messages m on m.id = w.id and (w.source is null or m.source = w.source)
    left join receipts r on r.message_no = m.no
    left join lateral (
      select count(*) as open from deliveries d where d.message_no = m.no) o on true
    left join lateral (
      select count(*) as acked from delivery_history e where e.message_no = m.no and e.outcome = 'acked') s on true
    left join lateral (
      -- Recipients, not copies: one that was replayed had another before.
      select count(distinct c.inbox_no) as delivered from (
        select inbox_no from deliveries where message_no = m.no and first_leased_at is not null
        union all
        select inbox_no from delivery_history where message_no = m.no and first_leased_at is not null and outcome <> 're_addressed'
      ) c) h on true
    left join lateral (
      select count(*) filter (where l.reason not in ('member_removed', 'recipient_left')) as dead,
        count(*) filter (where l.reason in ('member_removed', 'recipient_left')) as gone
      from dead_letters l where l.message_no = m.no and l.recipient is not null and l.state <> 'replayed') x on true
    order by m.no`.execute(db);
  return rows;
}

/** Settles a receipt, once, with the counts of that moment. */
export async function settleReceipt(db: CommunicationDb, row: ReceiptRow, state: 'met' | 'unmet'): Promise<void> {
  const { matched, delivered, acked, dead, left, pending } = row;
  await sql`
    update receipts set state = ${state}, settled_at = clock_timestamp(),
      counts = ${JSON.stringify({ matched, delivered, acked, dead, left, pending })}::jsonb
    where message_no = ${row.messageNo} and state = 'open'`.execute(db);
}
