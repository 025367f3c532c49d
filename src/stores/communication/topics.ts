import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import type { TopicView } from '../../contracts/topics.js';
import { anyOf, queryRow, queryRows, secondsAgo } from '../expressions.js';
import type { CommunicationDb, Row } from './schema.js';

export type TopicRow = Row<'topics'>;
type Settings = Pick<TopicRow, 'retention' | 'publish' | 'subscribe' | 'maxSubscribers'>;
export type TopicSpec = Settings & Pick<TopicRow, 'name'>;

/**
 * Creates a topic. The same again changes nothing.
 * @returns `other` when the topic of that name differs or is being deleted.
 */
export async function createTopic(
  db: CommunicationDb,
  { name, retention, publish, subscribe, maxSubscribers }: TopicSpec,
  owner: string,
): Promise<'created' | 'unchanged' | 'other'> {
  const settings = { retention, publish, subscribe, maxSubscribers };
  const { isCreated, state, ...stored } = await db
    .insertInto('topics')
    .values({ name, owner, ...settings })
    // An update that changes nothing: it returns the row that is there.
    .onConflict((conflict) => conflict.column('name').doUpdateSet((topic) => ({ name: topic.ref('topics.name') })))
    .returning(['state', 'retention', 'publish', 'subscribe', 'maxSubscribers'])
    .returning(sql<boolean>`xmax = 0`.as('isCreated'))
    .executeTakeFirstOrThrow();
  if (isCreated) return 'created';
  return state === 'open' && isDeepStrictEqual(stored, settings) ? 'unchanged' : 'other';
}

export const findTopics = (db: CommunicationDb, names: readonly string[]): Promise<TopicRow[]> =>
  db.selectFrom('topics').selectAll().where('name', '=', anyOf(names)).execute();

/** By name. @param page.after only names after this one: the last of the page before. */
export const listTopics = (
  db: CommunicationDb,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<TopicRow[]> =>
  db.selectFrom('topics').selectAll().where('name', '>', after).orderBy('name').limit(limit).execute();

/** Ends publishing to a topic and subscribing to it; open deliveries still arrive. @returns false when there is none. */
export const drainTopic = async (db: CommunicationDb, name: string): Promise<boolean> =>
  (await queryRow(db)`update topics set state = 'draining' where name = ${name} returning name`) !== undefined;

/**
 * Deletes a topic; its open deliveries become dead letters.
 * @returns how many, or undefined when there is no such topic.
 */
export async function deleteTopic(db: CommunicationDb, name: string): Promise<number | undefined> {
  const row = await queryRow<{ ended: number }>(db)`
    with deleted as (delete from topics where name = ${name} returning name),
    open as (
      select array_agg(d.inbox_no) as inbox_nos, array_agg(d.sequence) as sequences
      from deliveries d join messages m on m.no = d.message_no where m.topic = ${name}
    )
    select coalesce(dead_letter_deliveries(open.inbox_nos, open.sequences, 'topic_deleted',
      ${`The topic "${name}" was deleted by force`}), 0) as ended
    from deleted, open`;
  return row?.ended;
}

/** Deletes draining topics without open deliveries. @returns their names. */
export async function deleteDrainedTopics(db: CommunicationDb): Promise<string[]> {
  const rows = await queryRows<{ name: string }>(db)`
    delete from topics t where t.state = 'draining' and not exists (
      select from deliveries d join messages m on m.no = d.message_no where m.topic = t.name)
    returning t.name`;
  return rows.map(({ name }) => name);
}

/** How many messages each topic retains and has as open deliveries. */
export async function topicFigures(
  db: CommunicationDb,
  names: readonly string[],
): Promise<ReadonlyMap<string, Pick<TopicView, 'retained' | 'pending'>>> {
  const rows = await queryRows<{ name: string; retained: number; pending: number }>(db)`
    select w.name, (select count(*) from retained_messages r where r.topic = w.name) as retained,
      (select count(*) from deliveries d join messages m on m.no = d.message_no where m.topic = w.name) as pending
    from unnest(${names}::text[]) as w (name)`;
  return new Map(rows.map(({ name, ...figures }) => [name, figures]));
}

/**
 * Delivers the retained messages of topics to an agent that subscribes, oldest first, except those that it received before.
 * @param topics the names that its pattern takes.
 * @returns how many messages were delivered.
 */
export async function deliverRetained(
  db: CommunicationDb,
  agentId: string,
  topics: readonly string[],
): Promise<number> {
  const row = await queryRow<{ delivered: number }>(db)`
    select deliver_retained(${agentId}, ${topics}::text[]) as delivered`;
  return row?.delivered ?? 0;
}

/** Names of topics that retain messages now. */
export async function retainingTopics(db: CommunicationDb): Promise<string[]> {
  const rows = await db.selectFrom('retainedMessages').select('topic').distinct().execute();
  return rows.map(({ topic }) => topic);
}

/** Deletes what a topic retains beyond its limits. */
export async function pruneRetained(
  db: CommunicationDb,
  { name, retention }: Pick<TopicRow, 'name' | 'retention'>,
): Promise<void> {
  const isBeyond =
    retention.keep === 'duration'
      ? sql`retained_at < ${secondsAgo(retention.seconds)}`
      : sql`message_no in (select message_no from retained_messages where topic = ${name}
          order by retained_at desc, message_no desc offset ${retention.keep === 'count' ? retention.count : 1})`;
  await queryRow(db)`delete from retained_messages where topic = ${name} and ${isBeyond}`;
}
