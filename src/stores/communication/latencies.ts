import { sql } from 'kysely';
import { queryRows } from '../expressions.js';
import type { CommunicationDb, Row } from './schema.js';

export type LatencyMeasure = Row<'latencies'>['measure'];

export interface LatencyCounts {
  /** Empty for messages that belong to no cluster. */
  readonly clusterId: string;
  readonly measure: LatencyMeasure;
  /** Per bucket; all histograms have the same buckets. */
  readonly counts: readonly number[];
}

/** Adds to the histograms of the present minute. */
export async function addLatencies(db: CommunicationDb, all: readonly LatencyCounts[]): Promise<void> {
  // In one order, so that two servers that add to the same histograms do not deadlock.
  const sorted = [...all].sort((a, b) => (a.clusterId + a.measure < b.clusterId + b.measure ? -1 : 1));
  await sql`
    insert into latencies as l (cluster_id, measure, slot, counts)
    select w."clusterId", w.measure, date_trunc('minute', now()), w.counts
    from jsonb_to_recordset(${JSON.stringify(sorted)}::jsonb) as w ("clusterId" text, measure text, counts integer[])
    on conflict (cluster_id, measure, slot) do update set counts = array(
      select a + b from unnest(l.counts, excluded.counts) as both_counts (a, b))`.execute(db);
}

/**
 * The histograms of the last seconds, summed.
 * @param clusterId one cluster's; without it those of all.
 */
export const latenciesOf = (
  db: CommunicationDb,
  { clusterId, windowSeconds }: { readonly clusterId?: string; readonly windowSeconds: number },
): Promise<LatencyCounts[]> => queryRows<LatencyCounts>(db)`
  select measure, ${clusterId ?? ''} as cluster_id, array_agg(total order by bucket) as counts from (
    select l.measure, c.bucket, sum(c.count)::integer as total
    from latencies l, unnest(l.counts) with ordinality as c (count, bucket)
    where l.slot >= now() - make_interval(secs => ${windowSeconds})
      and (${clusterId ?? null}::text is null or l.cluster_id = ${clusterId ?? null})
    group by l.measure, c.bucket) t group by measure`;
