import { sql, type ExpressionBuilder } from 'kysely';
import type { SubscriptionView } from '../../contracts/topics.js';
import { inTransaction } from '../database.js';
import type { CommunicationDb, CommunicationSchema } from './schema.js';

export interface MatchedSubscription {
  readonly topic: string;
  readonly agentId: string;
  readonly pattern: string;
  readonly queueGroup: string | null;
  readonly suspended: boolean;
}

/**
 * The subscriptions that take these topics.
 * @param patterns each topic with every pattern that takes it, from `patternsTaking`.
 */
export async function subscriptionsTo(
  db: CommunicationDb,
  patterns: ReadonlyMap<string, readonly string[]>,
): Promise<MatchedSubscription[]> {
  const pairs = [...patterns].flatMap(([topic, all]) => all.map((pattern) => ({ topic, pattern })));
  const { rows } = await sql<MatchedSubscription>`
    select w.topic, i.agent_id, s.pattern, s.queue_group, i.agent_status = 'lapsed' as suspended
    from unnest(${pairs.map(({ topic }) => topic)}::text[], ${pairs.map(({ pattern }) => pattern)}::text[])
      as w (topic, pattern)
    join subscriptions s on s.pattern = w.pattern join inboxes i on i.no = s.inbox_no
    order by w.topic, i.agent_id`.execute(db);
  return rows;
}

export interface NewSubscriptionRow {
  readonly pattern: string;
  readonly queueGroup: string | null;
  /** For a pattern that names one topic: the topic with every pattern that takes it, to count its subscribers. */
  readonly topic?: { readonly name: string; readonly patterns: readonly string[] };
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
    const found = await tx
      .selectFrom('topics')
      .select('maxSubscribers')
      .where('name', '=', topic.name)
      .forNoKeyUpdate()
      .executeTakeFirst();
    const { others } = await tx
      .selectFrom('subscriptions as s')
      .innerJoin('inboxes as i', 'i.no', 's.inboxNo')
      .select(({ fn }) => fn.count<number>('i.no').distinct().as('others'))
      .where('s.pattern', '=', sql<string>`any(${topic.patterns}::text[])`)
      .where('i.agentId', '<>', agentId)
      .executeTakeFirstOrThrow();
    return found && found.maxSubscribers <= others ? 'full' : insertSubscription(tx, agentId, wanted);
  });
}

async function insertSubscription(
  db: CommunicationDb,
  agentId: string,
  { pattern, queueGroup }: NewSubscriptionRow,
): Promise<SubscriptionView | undefined> {
  const { rows } = await sql<SubscriptionRow>`
    with written as (
      insert into subscriptions as s (inbox_no, pattern, queue_group)
      select no, ${pattern}, ${queueGroup}::text from inboxes where agent_id = ${agentId} and agent_status <> 'left'
      for share
      on conflict (inbox_no, pattern, coalesce(queue_group, '')) do update set pattern = s.pattern
      returning s.*
    )
    select s.id, i.agent_id, s.pattern, s.queue_group, i.agent_status = 'lapsed' as suspended, s.created_at
    from written s join inboxes i on i.no = s.inbox_no`.execute(db);
  return rows[0] && subscriptionOf(rows[0]);
}

const inboxOf = (agentId: string) => (subscriptions: ExpressionBuilder<CommunicationSchema, 'subscriptions'>) =>
  subscriptions.selectFrom('inboxes').select('no').where('agentId', '=', agentId);

/** @param which the subscription's id, or its pattern and group. @returns whether there was one. */
export async function unsubscribe(
  db: CommunicationDb,
  agentId: string,
  which: { readonly id: string } | { readonly pattern: string; readonly queueGroup: string | null },
): Promise<boolean> {
  const deleteOfAgent = db.deleteFrom('subscriptions').where('inboxNo', '=', inboxOf(agentId));
  const { numDeletedRows } = await (
    'id' in which
      ? deleteOfAgent.where('id', '=', which.id)
      : deleteOfAgent.where('pattern', '=', which.pattern).where('queueGroup', 'is not distinct from', which.queueGroup)
  ).executeTakeFirst();
  return numDeletedRows > 0n;
}

export async function subscriptionsOf(db: CommunicationDb, agentId: string): Promise<SubscriptionView[]> {
  const rows = await db
    .selectFrom('subscriptions as s')
    .innerJoin('inboxes as i', 'i.no', 's.inboxNo')
    .select(['s.id', 'i.agentId', 's.pattern', 's.queueGroup', 's.createdAt'])
    .select(({ eb }) => eb('i.agentStatus', '=', 'lapsed').$castTo<boolean>().as('suspended'))
    .where('i.agentId', '=', agentId)
    .orderBy('s.pattern')
    .orderBy('s.queueGroup')
    .execute();
  return rows.map(subscriptionOf);
}

/** Ends the subscriptions of agents whose lease lapsed longer ago than the grace. @returns how many. */
export async function deleteLapsedSubscriptions(db: CommunicationDb, graceSeconds: number): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('subscriptions')
    .using('inboxes')
    .whereRef('inboxes.no', '=', 'subscriptions.inboxNo')
    .where('inboxes.agentStatus', '=', 'lapsed')
    .where('inboxes.lapsedAt', '<', sql<Date>`now() - make_interval(secs => ${graceSeconds})`)
    .executeTakeFirst();
  return Number(numDeletedRows);
}

type SubscriptionRow = Omit<SubscriptionView, 'createdAt'> & { readonly createdAt: Date };

const subscriptionOf = (row: SubscriptionRow): SubscriptionView => ({ ...row, createdAt: row.createdAt.toISOString() });
