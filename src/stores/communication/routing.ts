import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { ManagerMessage } from './inboxes.js';
import type { CommunicationDb, RoutedMember } from './schema.js';

/**
 * Makes sure that the members have inboxes and that the cluster may be routed to.
 * @returns false when the cluster was closed before: the caller is too late.
 */
export async function openRoutes(
  db: CommunicationDb,
  clusterId: string,
  agentIds: readonly string[],
): Promise<boolean> {
  const { rows } = await sql<{ state: string }>`
    with inboxes_made as (
      insert into inboxes (agent_id) select id from unnest(${[...agentIds].sort()}::text[]) as t (id) order by id
      on conflict do nothing
    )
    -- An update that changes nothing: unlike a select it sees the row of an attempt that ran at the same time.
    insert into routed_clusters (cluster_id, state) values (${clusterId}, 'open')
    on conflict (cluster_id) do update set state = routed_clusters.state returning state`.execute(db);
  return rows[0]?.state === 'open';
}

export interface RoutingTable {
  readonly clusterId: string;
  readonly epoch: number;
  readonly members: readonly RoutedMember[];
}

/** A message of the manager and its recipients. */
export interface NewDelivery {
  readonly message: ManagerMessage;
  readonly recipients: readonly string[];
}

/**
 * Puts the immutable routing table of an epoch in force and delivers the messages that announce it, in one transaction.
 * The same again changes nothing.
 * @throws ManagerError `operation_ended` when the cluster was closed to routing, `state_conflict` when the epoch was
 * written before with other members: the caller's plan is stale.
 */
export async function routeAndDeliver(
  db: CommunicationDb,
  { clusterId, epoch, members }: RoutingTable,
  announcements: readonly NewDelivery[],
): Promise<void> {
  const { rows } = await sql<{ outcome: 'done' | 'closed' | 'other' }>`
    select route_and_deliver(${clusterId}, ${epoch}, ${JSON.stringify(members)}::jsonb,
      ${JSON.stringify(announcements)}::jsonb) as outcome`.execute(db);
  const outcome = rows[0]?.outcome;
  if (outcome === 'closed') throw new ManagerError('operation_ended', `Cluster ${clusterId} is closed to routing`);
  if (outcome === 'other') {
    throw new ManagerError('state_conflict', `Cluster ${clusterId} has another routing table for epoch ${epoch}`);
  }
}

/** The newest routing table of a cluster, open or closed. */
export async function routingTable(
  db: CommunicationDb,
  clusterId: string,
): Promise<Omit<RoutingTable, 'clusterId'> | undefined> {
  return db
    .selectFrom('routingTables')
    .select(['epoch', 'members'])
    .where('clusterId', '=', clusterId)
    .orderBy('epoch', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/**
 * Closes a cluster to routing for good, whether or not it was ever open, and ends all memberships. Waits for transactions
 * that route by its table.
 */
export async function closeRoutes(db: CommunicationDb, clusterId: string): Promise<void> {
  await sql`
    with closed as (
      insert into routed_clusters (cluster_id, state)
      select ${clusterId}, 'closed' from pg_advisory_xact_lock(routing_lock_class(), routing_lock_key(${clusterId})) as locked
      on conflict (cluster_id) do update set state = 'closed'
    )
    delete from routed_members where cluster_id = ${clusterId}`.execute(db);
}

/** The routing tables in force of open clusters; without ids those of all of them. */
export async function openTables(db: CommunicationDb, clusterIds?: readonly string[]): Promise<RoutingTable[]> {
  return db
    .selectFrom('routedClusters as c')
    .leftJoin('routingTables as t', (join) =>
      join.onRef('t.clusterId', '=', 'c.clusterId').onRef('t.epoch', '=', 'c.epoch'),
    )
    .select(['c.clusterId', 'c.epoch'])
    .select(sql<readonly RoutedMember[]>`coalesce(t.members, '[]'::jsonb)`.as('members'))
    .where('c.state', '=', 'open')
    .where('c.epoch', '>', 0)
    .$if(clusterIds !== undefined, (query) =>
      query.where('c.clusterId', '=', sql<string>`any(${clusterIds ?? []}::text[])`),
    )
    .execute();
}

/** The open clusters each of these agents is a member of. */
export async function clustersOfAgents(
  db: CommunicationDb,
  agentIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await db
    .selectFrom('routedMembers as m')
    .innerJoin('routedClusters as c', 'c.clusterId', 'm.clusterId')
    .select(['m.agentId', sql<readonly string[]>`array_agg(m.cluster_id order by m.cluster_id)`.as('clusters')])
    .where('c.state', '=', 'open')
    .where('m.agentId', '=', sql<string>`any(${agentIds}::text[])`)
    .groupBy('m.agentId')
    .execute();
  return new Map(rows.map(({ agentId, clusters }) => [agentId, clusters]));
}

const capableSample = 32;

/**
 * Agents that have these capabilities. Of a capability that many have, a sample that begins at the place `draw` names,
 * so that every agent gets its turn.
 * @param options.draw 0 to 1.
 * @param options.within only these agents, when given.
 */
export async function capableAgents(
  db: CommunicationDb,
  capabilities: readonly string[],
  { draw, within }: { readonly draw: number; readonly within?: readonly string[] },
): Promise<ReadonlyMap<string, readonly string[]>> {
  const isWithin = sql`(${within ?? null}::text[] is null or c.agent_id = any(${within ?? null}::text[]))`;
  const { rows } = await sql<{ capability: string; agentIds: readonly string[] }>`
    select w.capability, array(
      select agent_id from (
        (select agent_id from capability_inboxes c where c.capability = w.capability and ${isWithin}
          and c.inbox_no >= (${draw}::double precision * (select coalesce(max(no), 0) from inboxes))::integer
          order by c.inbox_no limit ${capableSample})
        union
        (select agent_id from capability_inboxes c where c.capability = w.capability and ${isWithin}
          order by c.inbox_no limit ${capableSample})) sample order by agent_id) as agent_ids
    from unnest(${capabilities}::text[]) as w (capability)`.execute(db);
  return new Map(rows.map(({ capability, agentIds }) => [capability, agentIds]));
}
