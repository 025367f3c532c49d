import { sql } from 'kysely';
import type { CommunicationDb } from './schema.js';

/** What became of a cluster's mail within a time. */
export interface InboxStatistics {
  /** Deliveries of messages that were accepted. */
  readonly sent: number;
  readonly dead: number;
  readonly redelivered: number;
  /** First hand-overs, a count for each bucket of the latency histogram. */
  readonly handedOver: readonly number[];
  /** Deliveries acked in a second, over the last two to three minutes; null when nothing was acked in them. */
  readonly ackedPerSecond: number | null;
}

const none: InboxStatistics = { sent: 0, dead: 0, redelivered: 0, handedOver: [], ackedPerSecond: null };

/** The mail of clusters within the last seconds: four questions for all of them. */
export async function inboxStatistics(
  db: CommunicationDb,
  clusterIds: readonly string[],
  windowSeconds: number,
): Promise<ReadonlyMap<string, InboxStatistics>> {
  const ids = sql`${clusterIds}::text[]`;
  const since = sql`now() - make_interval(secs => ${windowSeconds})`;
  const [sent, dead, handedOver, acked] = await Promise.all([
    sql<{ clusterId: string; sent: number; redelivered: number }>`
      select m.cluster_id as "clusterId", sum(m.matched)::integer as sent,
        coalesce(sum((select count(*) from deliveries d where d.message_no = m.no and d.attempts > 1)
          + (select count(*) from delivery_history s where s.message_no = m.no and s.attempts > 1)), 0)::integer as redelivered
      from messages m where m.time > ${since} and m.cluster_id = any(${ids}) and m.kind <> 'manager'
      group by m.cluster_id`.execute(db),
    sql<{ clusterId: string; dead: number }>`
      select m.cluster_id as "clusterId", count(*)::integer as dead
      from dead_letters l join messages m on m.no = l.message_no
      where l.created_at > ${since} and m.cluster_id = any(${ids}) group by m.cluster_id`.execute(db),
    sql<{ clusterId: string; counts: number[] }>`
      select cluster_id as "clusterId", array_agg(total order by bucket) as counts from (
        select l.cluster_id, c.bucket, sum(c.count)::integer as total
        from latencies l, unnest(l.counts) with ordinality as c (count, bucket)
        where l.slot >= ${since} and l.cluster_id = any(${ids}) and l.measure = 'handed_over'
        group by l.cluster_id, c.bucket) t group by cluster_id`.execute(db),
    sql<{ clusterId: string; ackedPerSecond: number }>`
      select l.cluster_id as "clusterId", (sum(c.count) / extract(epoch from now() - f.since))::float8 as "ackedPerSecond"
      from (select date_trunc('minute', now()) - interval '2 minutes' as since) f
        join latencies l on l.slot >= f.since, unnest(l.counts) as c (count)
      where l.cluster_id = any(${ids}) and l.measure = 'acked'
      group by l.cluster_id, f.since having sum(c.count) > 0`.execute(db),
  ]);
  const figures = new Map<string, InboxStatistics>();
  const add = (clusterId: string, more: Partial<InboxStatistics>): void =>
    void figures.set(clusterId, { ...none, ...figures.get(clusterId), ...more });
  for (const { clusterId, ...more } of sent.rows) add(clusterId, more);
  for (const { clusterId, ...more } of dead.rows) add(clusterId, more);
  for (const { clusterId, ackedPerSecond } of acked.rows) add(clusterId, { ackedPerSecond });
  for (const { clusterId, counts } of handedOver.rows) add(clusterId, { handedOver: counts });
  return figures;
}

/** Unacked deliveries of a cluster's messages that some of its agents hold or have waiting. */
export async function openDeliveriesOf(
  db: CommunicationDb,
  clusterId: string,
  agentIds: readonly string[],
): Promise<number> {
  const { rows } = await sql<{ open: number }>`
    select count(*) as open from deliveries d join messages m on m.no = d.message_no
    where m.cluster_id = ${clusterId} and m.kind <> 'manager'
      and d.inbox_no in (select no from inboxes where agent_id = any(${agentIds}::text[]))`.execute(db);
  return rows[0]?.open ?? 0;
}
