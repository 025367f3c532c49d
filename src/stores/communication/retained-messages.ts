import { sql } from 'kysely';
import type { CommunicationDb } from './schema.js';
import type { TopicRow } from './topics.js';

/**
 * Delivers what topics retain to an agent that subscribes, oldest first. What the agent was given before is left out.
 * @param topics the names that its pattern takes.
 * @returns how many messages were delivered.
 */
export async function deliverRetained(
  db: CommunicationDb,
  agentId: string,
  topics: readonly string[],
): Promise<number> {
  const { rows } = await sql<{ delivered: number }>`
    select deliver_retained(${agentId}, ${topics}::text[]) as delivered`.execute(db);
  return rows[0]?.delivered ?? 0;
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
  const deleteOfTopic = db.deleteFrom('retainedMessages').where('topic', '=', name);
  if (retention.keep === 'duration') {
    const oldest = sql<Date>`now() - make_interval(secs => ${retention.seconds}::integer)`;
    await deleteOfTopic.where('retainedAt', '<', oldest).execute();
    return;
  }
  const count = retention.keep === 'count' ? retention.count : 1;
  await deleteOfTopic
    .where('messageNo', 'in', (messages) =>
      messages
        .selectFrom('retainedMessages')
        .select('messageNo')
        .where('topic', '=', name)
        .orderBy('retainedAt', 'desc')
        .orderBy('messageNo', 'desc')
        .offset(count),
    )
    .execute();
}
