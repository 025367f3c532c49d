import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { ManagerMessage } from './inbox.js';
import type { CommunicationDb, RoutedMember, AgentStatus } from './schema.js';

/**
 * Makes sure that the members have inboxes and that the cluster may be routed to.
 * @returns false when the cluster was closed before: the caller came too late and nothing was changed.
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
    ), opened as (
      -- An update that changes nothing: unlike a select it sees the row of an attempt that ran at the same time.
      insert into routed_clusters (cluster_id, state) values (${clusterId}, 'open')
      on conflict (cluster_id) do update set state = routed_clusters.state returning state
    )
    select state from opened`.execute(db);
  return rows[0]?.state === 'open';
}

export interface RoutingTable {
  readonly clusterId: string;
  readonly epoch: number;
  readonly members: readonly RoutedMember[];
}

/** A message of the manager's own, and whose inboxes it goes to. */
export interface NewDelivery {
  readonly message: ManagerMessage;
  readonly recipients: readonly string[];
}

/**
 * Writes the immutable routing table of an epoch and the messages that tell its members, together. The same again
 * changes nothing.
 * @throws ManagerError `operation_ended` when the cluster was closed to routing, `state_conflict` when the epoch was
 * written before with other members: the caller's plan is stale.
 */
export async function routeAndDeliver(
  db: CommunicationDb,
  { clusterId, epoch, members }: RoutingTable,
  mail: readonly NewDelivery[],
): Promise<void> {
  const { rows } = await sql<{ outcome: 'done' | 'closed' | 'other' }>`
    select route_and_deliver(${clusterId}, ${epoch}, ${JSON.stringify(members)}::jsonb,
      ${JSON.stringify(mail)}::jsonb) as outcome`.execute(db);
  const outcome = rows[0]?.outcome;
  if (outcome === 'closed') throw new ManagerError('operation_ended', `Cluster ${clusterId} is closed to routing`);
  if (outcome === 'other') {
    throw new ManagerError('state_conflict', `Cluster ${clusterId} has another routing table for epoch ${epoch}`);
  }
}

export async function routingTable(
  db: CommunicationDb,
  clusterId: string,
): Promise<{ readonly epoch: number; readonly members: readonly RoutedMember[] } | undefined> {
  return db
    .selectFrom('routingTables')
    .select(['epoch', 'members'])
    .where('clusterId', '=', clusterId)
    .orderBy('epoch', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/**
 * Closes a cluster to routing for good, whether or not it was ever open. Who is routing by its table is waited for, and
 * nobody is a member of it any more.
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

export interface ClusterRoutes {
  readonly clusterId: string;
  readonly epoch: number;
  readonly members: readonly RoutedMember[];
}

/** The tables in force of open clusters; without ids those of all of them. */
export async function openTables(db: CommunicationDb, clusterIds?: readonly string[]): Promise<ClusterRoutes[]> {
  const { rows } = await sql<ClusterRoutes>`
    select c.cluster_id as "clusterId", c.epoch, coalesce(t.members, '[]'::jsonb) as members
    from routed_clusters c left join routing_tables t on t.cluster_id = c.cluster_id and t.epoch = c.epoch
    where c.state = 'open' and c.epoch > 0 and (${clusterIds ?? null}::text[] is null or c.cluster_id = any(${clusterIds ?? null}::text[]))`.execute(
    db,
  );
  return rows;
}

/** The open clusters each of these agents is a member of. */
export async function clustersOfAgents(
  db: CommunicationDb,
  agentIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await sql<{ agentId: string; clusters: readonly string[] }>`
    select m.agent_id as "agentId", array_agg(m.cluster_id order by m.cluster_id) as clusters
    from routed_members m join routed_clusters c on c.cluster_id = m.cluster_id and c.state = 'open'
    where m.agent_id = any(${agentIds}::text[]) group by m.agent_id`.execute(db);
  return new Map(rows.map(({ agentId, clusters }) => [agentId, clusters]));
}

export interface AgentMailbox {
  readonly agentId: string;
  readonly status: AgentStatus;
  /** Open deliveries; counting stops at 1,000, which is more than enough to tell who has less. */
  readonly open: number;
}

export async function mailboxesOf(db: CommunicationDb, agentIds: readonly string[]): Promise<AgentMailbox[]> {
  const { rows } = await sql<AgentMailbox>`
    select i.agent_id as "agentId", i.agent_status as status, (
      select count(*) from (select from deliveries d where d.inbox_no = i.no limit 1000) counted) as open
    from inboxes i where i.agent_id = any(${agentIds}::text[]) and i.agent_status <> 'left'`.execute(db);
  return rows;
}

const capableSample = 32;

/**
 * Agents that have these capabilities. Of a capability that many have, as many as are enough for a choice, beginning at
 * a place that `draw` decides, so that all of them get their turn.
 * @param within only these agents, when they are given.
 */
export async function capableAgents(
  db: CommunicationDb,
  capabilities: readonly string[],
  { draw, within }: { readonly draw: number; readonly within?: readonly string[] },
): Promise<ReadonlyMap<string, readonly string[]>> {
  const { rows } = await sql<{ capability: string; agentIds: readonly string[] }>`
    select w.capability, array(
      select agent_id from (
        (select agent_id from capability_inboxes c where c.capability = w.capability
          and c.inbox_no >= (${draw}::double precision * (select coalesce(max(no), 0) from inboxes))::integer
          and (${within ?? null}::text[] is null or c.agent_id = any(${within ?? null}::text[]))
          order by c.inbox_no limit ${capableSample})
        union
        (select agent_id from capability_inboxes c where c.capability = w.capability
          and (${within ?? null}::text[] is null or c.agent_id = any(${within ?? null}::text[]))
          order by c.inbox_no limit ${capableSample})) both_ends order by agent_id) as "agentIds"
    from unnest(${capabilities}::text[]) as w (capability)`.execute(db);
  return new Map(rows.map(({ capability, agentIds }) => [capability, agentIds]));
}
