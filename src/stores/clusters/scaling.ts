import { sql } from 'kysely';
import { queryRow, queryRows, queryValues } from '../expressions.js';
import type { ClusterRow } from './clusters.js';
import { releaseMemberships } from './memberships.js';
import type { ClustersDb, Row } from './schema.js';

/** A member with what a scaling decision and a stability score need to know of it. */
export interface ScalingMemberRow
  extends
    Pick<Row<'agents'>, 'host' | 'zone' | 'capabilities' | 'load' | 'reportsLoad' | 'concurrency'>,
    Pick<Row<'agents'>, 'inboxDepth' | 'recentFlaps'>,
    Pick<Row<'memberships'>, 'clusterId' | 'agentId' | 'roles'> {
  readonly offers: Readonly<Record<string, number>>;
  readonly alive: boolean;
  /** Alive, and ready or busy. */
  readonly ready: boolean;
  readonly joinedAt: Date;
}

/** The active members of clusters, by cluster and agent id. */
export const scalingMembers = (db: ClustersDb, clusterIds: readonly string[]): Promise<ScalingMemberRow[]> =>
  queryRows<ScalingMemberRow>(db)`
  select m.cluster_id, m.agent_id, m.roles, a.host, a.zone, a.capabilities,
    a.resources as offers, (a.left_at is null and a.lease_expires_at > now()) as alive,
    (a.left_at is null and a.lease_expires_at > now() and a.readiness in ('ready', 'busy')) as ready,
    m.joined_at, a.load, a.reports_load, a.concurrency, a.inbox_depth,
    a.recent_flaps
  from memberships m join agents a on a.id = m.agent_id
  where m.cluster_id = any(${clusterIds}::text[]) and m.state = 'active'
  order by m.cluster_id, m.agent_id`;

/** How many members each cluster lost within a time, without those that an operation removed. Clusters without are absent. */
export async function unplannedLosses(
  db: ClustersDb,
  clusterIds: readonly string[],
  windowSeconds: number,
): Promise<ReadonlyMap<string, number>> {
  const rows = await queryRows<{ clusterId: string; losses: number }>(db)`
    select cluster_id, count(*) as losses from memberships
    where cluster_id = any(${clusterIds}::text[]) and state = 'released' and joined_at is not null and left_by is null
      and left_at > now() - make_interval(secs => ${windowSeconds})
    group by cluster_id`;
  return new Map(rows.map(({ clusterId, losses }) => [clusterId, losses]));
}

/**
 * A cluster that is to be scaled, and another running scaling of it that goes first: it has decided already, or was
 * requested before this one. The cluster's row stays locked until the end of the transaction, so of two concurrent scalings
 * the second sees what the first has saved.
 */
export async function lockForScaling(
  tx: ClustersDb,
  { clusterId, operationId }: { readonly clusterId: string; readonly operationId: string },
): Promise<{ readonly cluster: ClusterRow; readonly other: string | undefined } | undefined> {
  const cluster = await queryRow<ClusterRow>(tx)`select * from clusters where id = ${clusterId} for no key update`;
  if (!cluster) return undefined;
  const other = await queryRow<{ id: string }>(tx)`
    select o.id from operations o
    where o.cluster_id = ${clusterId} and o.kind = 'SCALING' and o.state = 'running' and o.id <> ${operationId}
      and (exists (select 1 from operation_steps s where s.operation_id = o.id and s.step = 'assessNeeds:admitted')
        or (o.created_at, o.id)
          < (coalesce((select own.created_at from operations own where own.id = ${operationId}), now()), ${operationId}::text))
    order by o.created_at limit 1`;
  return { cluster, other: other?.id };
}

/** Releases the departing members of an operation, in agent order. @returns the agents released now. */
export const releaseLeaving = (tx: ClustersDb, operationId: string): Promise<string[]> =>
  releaseMemberships(tx, sql`left_by = ${operationId} and state = 'leaving'`);

/** The departing members of an operation, and how long the first has been departing; undefined when there are none. */
export async function leavingSince(
  db: ClustersDb,
  operationId: string,
): Promise<{ readonly seconds: number; readonly agentIds: readonly string[] } | undefined> {
  const row = await queryRow<{ seconds: number | null; agentIds: string[] }>(db)`
    select extract(epoch from clock_timestamp() - min(leaving_since))::float8 as seconds,
      coalesce(array_agg(agent_id order by agent_id), '{}') as agent_ids
    from memberships where left_by = ${operationId} and state = 'leaving'`;
  const { seconds = null, agentIds = [] } = row ?? {};
  return seconds === null ? undefined : { seconds, agentIds };
}

/** What all live agents offer together, and how much of it memberships hold. `agents` counts memberships. */
export interface FleetStock {
  readonly capacity: Readonly<Record<string, number>>;
  readonly held: Readonly<Record<string, number>>;
}

/** The name under which the agents themselves are a resource: a membership takes one. */
export const agentsResource = 'agents';

/**
 * @param of.names the resources to sum, besides the agents themselves; all of them if not given.
 * @param of.capabilities only agents that have all of these.
 */
export async function fleetStock(
  db: ClustersDb,
  { names, capabilities = [] }: { readonly names?: readonly string[]; readonly capabilities?: readonly string[] } = {},
): Promise<FleetStock> {
  const agents = sql`
    select ${agentsResource} as name, coalesce(sum(max_clusters), 0)::float8 as capacity,
      coalesce(sum(cluster_count), 0)::float8 as held from alive`;
  const asked = names
    ? sql`unnest(${names}::text[]) as n (name)`
    : sql`(select distinct r.key as name from alive, jsonb_object_keys(resources) r (key)) n`;
  const others = sql`union all
    select n.name, coalesce(sum((a.resources ->> n.name)::float8), 0), coalesce(sum((a.held ->> n.name)::float8), 0)
    from ${asked}, alive a group by n.name`;
  const rows = await queryRows<{ name: string; capacity: number; held: number }>(db)`
    with alive as (select * from agents where left_at is null and lease_expires_at > now()
      ${capabilities.length > 0 ? sql`and capabilities @> ${capabilities}::text[]` : sql``})
    ${agents} ${names?.length === 0 ? sql`` : others}`;
  const column = (which: 'capacity' | 'held') => Object.fromEntries(rows.map((row) => [row.name, row[which]]));
  return { capacity: column('capacity'), held: column('held') };
}

/** A cluster that competes with others to grow: its members, reserved ones too, and the capabilities they need. */
export interface ClaimantRow {
  readonly size: number;
  readonly requiredCapabilities: readonly string[];
}

export async function claimantsOf(
  db: ClustersDb,
  clusterIds: readonly string[],
): Promise<ReadonlyMap<string, ClaimantRow>> {
  const rows = await queryRows<ClaimantRow & { id: string }>(db)`
    select c.id, c.spec -> 'requiredCapabilities' as "requiredCapabilities",
      (select count(*) from memberships m where m.cluster_id = c.id and m.state in ('reserved', 'active')) as size
    from clusters c where c.id = any(${clusterIds}::text[]) and c.state = 'active'`;
  return new Map(rows.map(({ id, ...claimant }) => [id, claimant]));
}

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
    samples: rows.flatMap(({ id: agentId, usage, load, concurrency, reportsLoad }) => [
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
