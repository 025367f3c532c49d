import { sql } from 'kysely';
import { isoDates } from '../../contracts/view.js';
import type { SubscriptionView } from '../../contracts/topics.js';
import { inTransaction } from '../database.js';
import { queryRow, queryRows, secondsAgo } from '../expressions.js';
import type { CommunicationDb, Row } from './schema.js';

export type MatchedSubscription = Omit<SubscriptionView, 'id' | 'createdAt'> & { readonly topic: string };

/** The subscriptions whose patterns match these topics, by topic and agent. */
export const subscriptionsTo = (db: CommunicationDb, topics: readonly string[]): Promise<MatchedSubscription[]> =>
  queryRows<MatchedSubscription>(db)`select * from subscriptions_to(${topics}::text[])`;

export interface NewSubscriptionRow {
  readonly pattern: string;
  readonly queueGroup: string | null;
  /** The topic that a pattern without wildcards names, when it exists. */
  readonly topic?: string;
}

/**
 * Subscribes an agent. The same again changes nothing.
 * @returns the subscription; undefined when the agent has no open inbox, `full` when the topic has all its subscribers.
 */
export async function subscribe(
  db: CommunicationDb,
  agentId: string,
  wanted: NewSubscriptionRow,
): Promise<SubscriptionView | 'full' | undefined> {
  const { topic } = wanted;
  if (topic === undefined) return insertSubscription(db, agentId, wanted);
  return inTransaction(db, async (tx) => {
    // Under the topic's lock, so that of two subscribers at the same time one gets the last place.
    const found = await queryRow<Pick<Row<'topics'>, 'maxSubscribers'>>(tx)`
      select max_subscribers from topics where name = ${topic} for no key update`;
    const counted = await queryRow<{ others: number }>(tx)`
      select count(distinct agent_id) as others from subscriptions_to(array[${topic}]) where agent_id <> ${agentId}`;
    return found && found.maxSubscribers <= (counted?.others ?? 0) ? 'full' : insertSubscription(tx, agentId, wanted);
  });
}

const columns = sql`s.id, i.agent_id, s.pattern, s.queue_group, i.agent_status = 'lapsed' as suspended, s.created_at`;

type SubscriptionRow = Pick<Row<'subscriptions'>, 'id' | 'pattern' | 'queueGroup' | 'createdAt'> &
  Pick<SubscriptionView, 'agentId' | 'suspended'>;

async function insertSubscription(
  db: CommunicationDb,
  agentId: string,
  { pattern, queueGroup }: NewSubscriptionRow,
): Promise<SubscriptionView | undefined> {
  const row = await queryRow<SubscriptionRow>(db)`
    with written as (
      insert into subscriptions as s (inbox_no, pattern, queue_group)
      select no, ${pattern}, ${queueGroup}::text from inboxes where agent_id = ${agentId} and agent_status <> 'left'
      for share
      on conflict (inbox_no, pattern, coalesce(queue_group, '')) do update set pattern = s.pattern
      returning s.*
    )
    select ${columns} from written s join inboxes i on i.no = s.inbox_no`;
  return row && isoDates(row);
}

/** @param which the subscription's id, or its pattern and group. @returns whether there was one. */
export async function unsubscribe(
  db: CommunicationDb,
  agentId: string,
  which: { readonly id: string } | { readonly pattern: string; readonly queueGroup: string | null },
): Promise<boolean> {
  const ended = await queryRow(db)`
    delete from subscriptions s using inboxes i where i.no = s.inbox_no and i.agent_id = ${agentId}
      and ${'id' in which ? sql`s.id = ${which.id}` : sql`s.pattern = ${which.pattern} and s.queue_group is not distinct from ${which.queueGroup}`}
    returning s.id`;
  return ended !== undefined;
}

export async function subscriptionsOf(db: CommunicationDb, agentId: string): Promise<SubscriptionView[]> {
  const rows = await queryRows<SubscriptionRow>(db)`
    select ${columns} from subscriptions s join inboxes i on i.no = s.inbox_no
    where i.agent_id = ${agentId} order by s.pattern, s.queue_group`;
  return rows.map(isoDates);
}

/** Ends the subscriptions of agents whose lease lapsed longer ago than the grace. @returns how many. */
export async function deleteLapsedSubscriptions(db: CommunicationDb, graceSeconds: number): Promise<number> {
  const ended = await queryRows(db)`
    delete from subscriptions s using inboxes i where i.no = s.inbox_no
      and i.agent_status = 'lapsed' and i.lapsed_at < ${secondsAgo(graceSeconds)} returning s.id`;
  return ended.length;
}
