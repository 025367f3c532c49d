import type { ReceiptCounts, ReceiptView, Requirement } from '../../contracts/messages.js';
import { json, now, queryRow, queryRows } from '../expressions.js';
import type { CommunicationDb, Row } from './schema.js';

export interface ReceiptRow extends Readonly<ReceiptCounts>, Pick<Row<'messages'>, 'source' | 'clusterId' | 'epoch'> {
  readonly messageNo: number;
  readonly messageId: string;
  readonly require: Requirement | null;
  readonly deadlineAt: Date | null;
  readonly state: ReceiptView['state'] | null;
  /** Until the deadline, by the database's clock; negative after it, null without one. */
  readonly secondsLeft: number | null;
  /** The counts at the moment the receipt was settled. */
  readonly settled: ReceiptCounts | null;
}

/** Stores what is required of a broadcast. Written once; a second call changes nothing. */
export async function openReceipt(
  db: CommunicationDb,
  { id, source }: { readonly id: string; readonly source: string },
  { require, deadlineSeconds }: { readonly require: Requirement; readonly deadlineSeconds: number },
): Promise<void> {
  await queryRow(db)`
    insert into receipts (message_no, require, deadline_at)
    select no, ${require}, time + make_interval(secs => ${deadlineSeconds}) from messages
    where id = ${id} and source = ${source}
    on conflict do nothing`;
}

/**
 * Counts what became of messages. A member that went away before its ack counts as left, not as dead; a copy that was
 * re-addressed is counted where it went.
 * @param which messages, by id and, unless all of that id are meant, by sender.
 */
export const countReceipts = (
  db: CommunicationDb,
  which: readonly { readonly id: string; readonly source?: string }[],
): Promise<ReceiptRow[]> => queryRows<ReceiptRow>(db)`
    select m.no as message_no, m.id as message_id, m.source, m.cluster_id, m.epoch,
      open.count + acked.count + ended.dead + ended.left as matched, delivered.count as delivered, acked.count as acked,
      ended.dead, ended.left, open.count as pending, r.require, r.deadline_at, r.state,
      extract(epoch from r.deadline_at - clock_timestamp()) as seconds_left, r.counts as settled
    from jsonb_to_recordset(${json(which)}) as w (id text, source text)
    join messages m on m.id = w.id and (w.source is null or m.source = w.source)
    left join receipts r on r.message_no = m.no,
    lateral (select count(*) from deliveries d where d.message_no = m.no) open,
    lateral (select count(*) from delivery_history h where h.message_no = m.no and h.outcome = 'acked') acked,
    lateral (
      -- Recipients, not copies: one whose dead letter was replayed has two.
      select count(distinct c.inbox_no) from (
        select inbox_no from deliveries where message_no = m.no and first_leased_at is not null
        union all
        select inbox_no from delivery_history
        where message_no = m.no and first_leased_at is not null and outcome <> 're_addressed'
      ) c) delivered,
    lateral (
      select count(*) filter (where l.reason not in ('member_removed', 'recipient_left')) as dead,
        count(*) filter (where l.reason in ('member_removed', 'recipient_left')) as left
      from dead_letters l where l.message_no = m.no and l.recipient is not null and l.state <> 'replayed') ended
    order by m.no`;

/** Settles a receipt, once, with the counts of that moment. */
export async function settleReceipt(db: CommunicationDb, row: ReceiptRow, state: 'met' | 'unmet'): Promise<void> {
  const { matched, delivered, acked, dead, left, pending } = row;
  await db
    .updateTable('receipts')
    .set({ state, settledAt: now, counts: { matched, delivered, acked, dead, left, pending } })
    .where('messageNo', '=', row.messageNo)
    .where('state', '=', 'open')
    .execute();
}
