import { sql } from 'kysely';
import { queryRows } from '../expressions.js';
import type { CommunicationDb } from './schema.js';

/** What became of a cluster's messages within a time. */
export interface InboxStatistics {
  /** Deliveries of messages that were accepted. */
  readonly sent: number;
  readonly dead: number;
  readonly redelivered: number;
  /** First attempts, a count for each bucket of the latency histogram. */
  readonly firstDeliveries: readonly number[];
  /** Deliveries acked in a second, over the last two to three minutes; null when nothing was acked in them. */
  readonly ackedPerSecond: number | null;
}

const none: InboxStatistics = { sent: 0, dead: 0, redelivered: 0, firstDeliveries: [], ackedPerSecond: null };

type Row = Partial<InboxStatistics> & { readonly clusterId: string };

/** Statistics of clusters over the last seconds, by cluster. Four queries, however many clusters there are. */
export async function inboxStatistics(
  db: CommunicationDb,
  clusterIds: readonly string[],
  windowSeconds: number,
): Promise<ReadonlyMap<string, InboxStatistics>> {
  const ids = sql`${clusterIds}::text[]`;
  const since = sql`now() - make_interval(secs => ${windowSeconds})`;
  const query = queryRows<Row>(db);
  const parts = await Promise.all([
    query`
      select m.cluster_id, sum(m.matched)::integer as sent,
        coalesce(sum((select count(*) from deliveries d where d.message_no = m.no and d.attempts > 1)
          + (select count(*) from delivery_history h where h.message_no = m.no and h.attempts > 1)), 0)::integer as redelivered
      from messages m where m.time > ${since} and m.cluster_id = any(${ids}) and m.kind <> 'manager'
      group by m.cluster_id`,
    query`
      select m.cluster_id, count(*)::integer as dead
      from dead_letters l join messages m on m.no = l.message_no
      where l.created_at > ${since} and m.cluster_id = any(${ids}) group by m.cluster_id`,
    query`
      select cluster_id, array_agg(total order by bucket) as first_deliveries from (
        select l.cluster_id, c.bucket, sum(c.count)::integer as total
        from latencies l, unnest(l.counts) with ordinality as c (count, bucket)
        where l.slot >= ${since} and l.cluster_id = any(${ids}) and l.measure = 'handed_over'
        group by l.cluster_id, c.bucket) t group by cluster_id`,
    query`
      select l.cluster_id, (sum(c.count) / extract(epoch from now() - w.since))::float8 as acked_per_second
      from (select date_trunc('minute', now()) - interval '2 minutes' as since) w
        join latencies l on l.slot >= w.since, unnest(l.counts) as c (count)
      where l.cluster_id = any(${ids}) and l.measure = 'acked'
      group by l.cluster_id, w.since having sum(c.count) > 0`,
  ]);
  const statistics = new Map<string, InboxStatistics>();
  for (const { clusterId, ...part } of parts.flat()) {
    statistics.set(clusterId, { ...none, ...statistics.get(clusterId), ...part });
  }
  return statistics;
}
