import { queryRows, queryValues } from '../expressions.js';
import type { ClusterRow } from './clusters.js';
import type { ClustersDb, Row } from './schema.js';

/** A page of the active clusters that are not being scaled, by id: those that the scaling interval assesses. */
export const clustersToAssess = (
  db: ClustersDb,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<ClusterRow[]> =>
  queryRows<ClusterRow>(db)`
  select * from clusters c
  where c.state = 'active' and c.id > ${after} and not exists (
    select from operations o where o.cluster_id = c.id and o.kind = 'SCALING' and o.state = 'running')
  order by c.id limit ${limit}`;

/**
 * A page of the usage that members of any cluster have reported by heartbeat: their amounts, and their load as used
 * concurrency.
 * @param page.after the last agent's id of the page before.
 */
export async function reportedUsage(
  db: ClustersDb,
  { after, limit }: { readonly after: string; readonly limit: number },
) {
  const rows = await queryRows<Pick<Row<'agents'>, 'id' | 'usage' | 'load' | 'concurrency' | 'reportsLoad'>>(db)`
    select id, usage, load, concurrency, reports_load from agents
    where id > ${after} and cluster_count > 0 and left_at is null and lease_expires_at > now()
    order by id limit ${limit}`;
  return {
    last: rows.length < limit ? undefined : rows.at(-1)?.id,
    told: rows.flatMap(({ id: agentId, usage, load, concurrency, reportsLoad }) => [
      ...Object.entries(usage).map(([resource, amount]) => ({ agentId, resource, amount })),
      ...(reportsLoad ? [{ agentId, resource: concurrencyResource, amount: load * concurrency }] : []),
    ]),
  };
}

/** The name under which an agent's concurrency is a resource, which its load is the usage of. */
export const concurrencyResource = 'concurrency';

/**
 * Active clusters of which a resource, of all members together, is used above a ratio by the last heartbeats. A member that
 * reports nothing of a resource counts as idle.
 */
export const hotClusters = (
  db: ClustersDb,
  { above, limit }: { readonly above: number; readonly limit: number },
): Promise<string[]> => queryValues<string>(db)`
  with member as (
    select m.cluster_id, a.* from memberships m join agents a on a.id = m.agent_id join clusters c on c.id = m.cluster_id
    where m.state = 'active' and c.state = 'active' and a.left_at is null and a.lease_expires_at > now()
  ), reported as (
    select cluster_id, r.key as resource, sum(r.value::float8) as offered,
      sum(coalesce((usage ->> r.key)::float8, 0)) as used
    from member, jsonb_each_text(resources) r group by 1, 2
    union all
    select cluster_id, ${concurrencyResource}, sum(concurrency), sum(case when reports_load then load * concurrency else 0 end)
    from member group by 1
  )
  select distinct cluster_id from reported where offered > 0 and used / offered > ${above} order by 1 limit ${limit}`;
