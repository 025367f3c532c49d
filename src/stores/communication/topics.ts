import { sql } from 'kysely';
import type { SubscriptionView, TopicView } from '../../contracts/topics.js';
import type { NewTopic } from '../../contracts/topics.js';
import type { CommunicationDb, CommunicationSchema } from './schema.js';

export interface TopicRow {
  readonly name: string;
  readonly owner: string;
  readonly state: 'open' | 'draining';
  readonly retention: CommunicationSchema['topics']['retention'];
  readonly publish: CommunicationSchema['topics']['publish'];
  readonly subscribe: CommunicationSchema['topics']['subscribe'];
  readonly maxSubscribers: number;
  readonly createdAt: Date;
}

const topicColumns = sql<TopicRow>`
  t.name, t.owner, t.state, t.retention, t.publish, t.subscribe, t.max_subscribers as "maxSubscribers",
  t.created_at as "createdAt"`;

export type TopicSpec = Required<Pick<NewTopic, 'name'>> &
  Pick<TopicRow, 'retention' | 'publish' | 'subscribe' | 'maxSubscribers'>;

/**
 * Creates a topic. The same again changes nothing.
 * @returns `other` when there is one of that name that is not the same, or that is being deleted.
 */
export async function createTopic(
  db: CommunicationDb,
  spec: TopicSpec,
  owner: string,
): Promise<'created' | 'unchanged' | 'other'> {
  const { rows } = await sql<{ created: boolean; same: boolean }>`
    insert into topics as t (name, owner, retention, publish, subscribe, max_subscribers)
    values (${spec.name}, ${owner}, ${JSON.stringify(spec.retention)}::jsonb,
      ${spec.publish ? JSON.stringify(spec.publish) : null}::jsonb,
      ${spec.subscribe ? JSON.stringify(spec.subscribe) : null}::jsonb, ${spec.maxSubscribers})
    on conflict (name) do update set name = t.name
    returning xmax = 0 as created, t.state = 'open' and t.retention = ${JSON.stringify(spec.retention)}::jsonb
      and t.publish is not distinct from ${spec.publish ? JSON.stringify(spec.publish) : null}::jsonb
      and t.subscribe is not distinct from ${spec.subscribe ? JSON.stringify(spec.subscribe) : null}::jsonb
      and t.max_subscribers = ${spec.maxSubscribers} as same`.execute(db);
  const row = rows[0];
  return row?.created ? 'created' : row?.same ? 'unchanged' : 'other';
}

export async function findTopics(db: CommunicationDb, names: readonly string[]): Promise<TopicRow[]> {
  const { rows } = await sql<TopicRow>`
    select ${topicColumns} from topics t where t.name = any(${names}::text[])`.execute(db);
  return rows;
}

/** By name. @param after only names after this one: the last of the page before. */
export async function listTopics(
  db: CommunicationDb,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<TopicRow[]> {
  const { rows } = await sql<TopicRow>`
    select ${topicColumns} from topics t where t.name > ${after} order by t.name limit ${limit}`.execute(db);
  return rows;
}

/** No more is published or subscribed to a topic that drains; what is on its way still arrives. */
export async function drainTopic(db: CommunicationDb, name: string): Promise<boolean> {
  const { numAffectedRows } = await sql`update topics set state = 'draining' where name = ${name}`.execute(db);
  return numAffectedRows === 1n;
}

/** Messages of a topic that are not acked yet. */
export async function pendingOfTopic(db: CommunicationDb, name: string): Promise<number> {
  const { rows } = await sql<{ pending: number }>`
    select count(*) as pending from deliveries d join messages m on m.no = d.message_no where m.topic = ${name}`.execute(
    db,
  );
  return rows[0]?.pending ?? 0;
}

/** Deletes a topic; what of it is still open becomes dead letters. @returns how many, or undefined when it is not there. */
export async function deleteTopic(db: CommunicationDb, name: string): Promise<number | undefined> {
  const { rows } = await sql<{ buried: number }>`
    with gone as (delete from topics where name = ${name} returning name),
    open as (
      select array_agg(d.inbox_no order by d.inbox_no, d.sequence) as boxes,
        array_agg(d.sequence order by d.inbox_no, d.sequence) as sequences
      from deliveries d join messages m on m.no = d.message_no where m.topic = ${name}
    )
    select coalesce(dead_letter_deliveries(boxes, sequences, 'topic_deleted', ${`The topic "${name}" was deleted by force`}), 0) as buried
    from gone, open`.execute(db);
  return rows[0]?.buried;
}

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
    select w.topic, i.agent_id as "agentId", s.pattern, s.queue_group as "queueGroup", i.agent_status = 'lapsed' as suspended
    from unnest(${pairs.map(({ topic }) => topic)}::text[], ${pairs.map(({ pattern }) => pattern)}::text[])
      as w (topic, pattern)
    join subscriptions s on s.pattern = w.pattern join inboxes i on i.no = s.inbox_no
    order by w.topic, i.agent_id`.execute(db);
  return rows;
}

export interface NewSubscriptionRow {
  readonly pattern: string;
  readonly queueGroup: string | null;
  /** The one topic that the pattern names, with every pattern that takes it: its subscribers are counted. */
  readonly topic?: { readonly name: string; readonly patterns: readonly string[] };
}

/**
 * Subscribes, once.
 * @returns the subscription; undefined when the agent has no inbox, `full` when the topic has all its subscribers.
 */
export async function subscribe(
  db: CommunicationDb,
  agentId: string,
  wanted: NewSubscriptionRow,
): Promise<SubscriptionView | 'full' | undefined> {
  const { topic } = wanted;
  if (topic === undefined) return insertSubscription(db, agentId, wanted);
  return db.transaction().execute(async (tx) => {
    // Under the topic's lock: of two who come at once, one gets the last place.
    await sql`select from topics where name = ${topic.name} for no key update`.execute(tx);
    const { rows } = await sql<{ isFull: boolean }>`
      select t.max_subscribers <= (
        select count(distinct i.no) from subscriptions s join inboxes i on i.no = s.inbox_no
        where s.pattern = any(${topic.patterns}::text[]) and i.agent_id <> ${agentId}) as "isFull"
      from topics t where t.name = ${topic.name}`.execute(tx);
    return rows[0]?.isFull ? 'full' : insertSubscription(tx, agentId, wanted);
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
    select ${subscriptionColumns} from written s join inboxes i on i.no = s.inbox_no`.execute(db);
  return rows[0] && subscriptionOf(rows[0]);
}

/** @param which the subscription's id, or what it says. @returns whether there was one. */
export async function unsubscribe(
  db: CommunicationDb,
  agentId: string,
  which: { readonly id: string } | { readonly pattern: string; readonly queueGroup: string | null },
): Promise<boolean> {
  const same =
    'id' in which
      ? sql`s.id = ${which.id}`
      : sql`s.pattern = ${which.pattern} and s.queue_group is not distinct from ${which.queueGroup}::text`;
  const { numAffectedRows } = await sql`
    delete from subscriptions s using inboxes i where i.no = s.inbox_no and i.agent_id = ${agentId} and ${same}`.execute(
    db,
  );
  return (numAffectedRows ?? 0n) > 0n;
}

export async function subscriptionsOf(db: CommunicationDb, agentId: string): Promise<SubscriptionView[]> {
  const { rows } = await sql<SubscriptionRow>`
    select ${subscriptionColumns} from subscriptions s join inboxes i on i.no = s.inbox_no
    where i.agent_id = ${agentId} order by s.pattern, s.queue_group`.execute(db);
  return rows.map(subscriptionOf);
}

type SubscriptionRow = Omit<SubscriptionView, 'createdAt'> & { readonly createdAt: Date };
const subscriptionColumns = sql<SubscriptionRow>`
  s.id, i.agent_id as "agentId", s.pattern, s.queue_group as "queueGroup", i.agent_status = 'lapsed' as suspended,
  s.created_at as "createdAt"`;
const subscriptionOf = (row: SubscriptionRow): SubscriptionView => ({ ...row, createdAt: row.createdAt.toISOString() });

/** What a topic keeps beyond its limits is let go. */
export async function pruneRetained(
  db: CommunicationDb,
  { name, retention }: Pick<TopicRow, 'name' | 'retention'>,
): Promise<void> {
  if (retention.keep === 'duration') {
    await sql`
      delete from retained_messages where topic = ${name}
        and retained_at < now() - make_interval(secs => ${retention.seconds}::integer)`.execute(db);
    return;
  }
  const count = retention.keep === 'count' ? retention.count : 1;
  await sql`
    delete from retained_messages where topic = ${name} and message_no in (
      select message_no from retained_messages where topic = ${name} order by retained_at desc, message_no desc offset ${count})`.execute(
    db,
  );
}

/**
 * Delivers what topics retain to one who subscribes now, oldest first; what it was given before is not given again.
 * @param take which topics its pattern takes.
 */
export async function deliverRetained(
  db: CommunicationDb,
  agentId: string,
  topics: readonly string[],
): Promise<number> {
  const { rows } = await sql<{ given: number }>`
    select deliver_retained(${agentId}, ${topics}::text[]) as given`.execute(db);
  return rows[0]?.given ?? 0;
}

/** Names of topics that retain something. */
export async function retainingTopics(db: CommunicationDb): Promise<string[]> {
  const { rows } = await sql<{ name: string }>`select distinct topic as name from retained_messages`.execute(db);
  return rows.map(({ name }) => name);
}

/** How much each topic keeps and has on its way. */
export async function topicFigures(
  db: CommunicationDb,
  names: readonly string[],
): Promise<ReadonlyMap<string, Pick<TopicView, 'retained' | 'pending'>>> {
  const { rows } = await sql<{ name: string; retained: number; pending: number }>`
    select w.name, (select count(*) from retained_messages r where r.topic = w.name) as retained,
      (select count(*) from deliveries d join messages m on m.no = d.message_no where m.topic = w.name) as pending
    from unnest(${names}::text[]) as w (name)`.execute(db);
  return new Map(rows.map(({ name, ...figures }) => [name, figures]));
}
