import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import type { NewTopic, TopicView } from '../../contracts/topics.js';
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

export type TopicSpec = Required<Pick<NewTopic, 'name'>> &
  Pick<TopicRow, 'retention' | 'publish' | 'subscribe' | 'maxSubscribers'>;

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

export async function findTopics(db: CommunicationDb, names: readonly string[]): Promise<TopicRow[]> {
  return db
    .selectFrom('topics')
    .selectAll()
    .where('name', '=', sql<string>`any(${names}::text[])`)
    .execute();
}

/** By name. @param page.after only names after this one: the last of the page before. */
export async function listTopics(
  db: CommunicationDb,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<TopicRow[]> {
  return db.selectFrom('topics').selectAll().where('name', '>', after).orderBy('name').limit(limit).execute();
}

/** Ends publishing to a topic and subscribing to it; open deliveries still arrive. @returns false when there is none. */
export async function drainTopic(db: CommunicationDb, name: string): Promise<boolean> {
  const { numUpdatedRows } = await db
    .updateTable('topics')
    .set({ state: 'draining' })
    .where('name', '=', name)
    .executeTakeFirst();
  return numUpdatedRows === 1n;
}

/**
 * Deletes a topic; its open deliveries become dead letters.
 * @returns how many, or undefined when there is no such topic.
 */
export async function deleteTopic(db: CommunicationDb, name: string): Promise<number | undefined> {
  const { rows } = await sql<{ ended: number }>`
    with deleted as (delete from topics where name = ${name} returning name),
    open as (
      select array_agg(d.inbox_no) as inbox_nos, array_agg(d.sequence) as sequences
      from deliveries d join messages m on m.no = d.message_no where m.topic = ${name}
    )
    select coalesce(dead_letter_deliveries(open.inbox_nos, open.sequences, 'topic_deleted',
      ${`The topic "${name}" was deleted by force`}), 0) as ended
    from deleted, open`.execute(db);
  return rows[0]?.ended;
}

/** Deletes draining topics without open deliveries. @returns their names. */
export async function deleteDrainedTopics(db: CommunicationDb): Promise<string[]> {
  const rows = await db
    .deleteFrom('topics as t')
    .where('t.state', '=', 'draining')
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('deliveries as d')
            .innerJoin('messages as m', 'm.no', 'd.messageNo')
            .select('m.no')
            .whereRef('m.topic', '=', 't.name'),
        ),
      ),
    )
    .returning('t.name')
    .execute();
  return rows.map(({ name }) => name);
}

/** How many messages each topic retains and has as open deliveries. */
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
