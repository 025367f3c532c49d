import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { anyOf, json, queryRow, queryRows } from '../expressions.js';
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
  const route = await queryRow<{ state: string }>(db)`
    with inboxes_made as (
      insert into inboxes (agent_id) select id from unnest(${[...agentIds].sort()}::text[]) as t (id) order by id
      on conflict do nothing
    )
    -- An update that changes nothing: unlike a select it sees the row of an attempt that ran at the same time.
    insert into routed_clusters (cluster_id, state) values (${clusterId}, 'open')
    on conflict (cluster_id) do update set state = routed_clusters.state returning state`;
  return route?.state === 'open';
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
  const row = await queryRow<{ outcome: 'done' | 'closed' | 'other' }>(db)`
    select route_and_deliver(${clusterId}, ${epoch}, ${json(members)}, ${json(announcements)}) as outcome`;
  if (row?.outcome === 'closed') throw new ManagerError('operation_ended', `Cluster ${clusterId} is closed to routing`);
  if (row?.outcome === 'other') {
    throw new ManagerError('state_conflict', `Cluster ${clusterId} has another routing table for epoch ${epoch}`);
  }
}

/** The newest routing table of a cluster, open or closed. */
export const routingTable = (
  db: CommunicationDb,
  clusterId: string,
): Promise<Omit<RoutingTable, 'clusterId'> | undefined> => queryRow<Omit<RoutingTable, 'clusterId'>>(db)`
  select epoch, members from routing_tables where cluster_id = ${clusterId} order by epoch desc limit 1`;

/**
 * Closes a cluster to routing for good, whether or not it was ever open, and ends all memberships. Waits for transactions
 * that route by its table.
 */
export async function closeRoutes(db: CommunicationDb, clusterId: string): Promise<void> {
  await queryRow(db)`
    with closed as (
      insert into routed_clusters (cluster_id, state)
      select ${clusterId}, 'closed' from pg_advisory_xact_lock(routing_lock_class(), routing_lock_key(${clusterId})) as locked
      on conflict (cluster_id) do update set state = 'closed'
    )
    delete from routed_members where cluster_id = ${clusterId}`;
}

/** The routing tables in force of open clusters; without ids those of all of them. */
export const openTables = (db: CommunicationDb, clusterIds?: readonly string[]): Promise<RoutingTable[]> =>
  queryRows<RoutingTable>(db)`
    select c.cluster_id, c.epoch, coalesce(t.members, '[]') as members
    from routed_clusters c left join routing_tables t on t.cluster_id = c.cluster_id and t.epoch = c.epoch
    where c.state = 'open' and c.epoch > 0
      ${clusterIds ? sql`and c.cluster_id = ${anyOf(clusterIds)}` : sql``}`;

/** The open clusters each of these agents is a member of. */
export async function clustersOfAgents(
  db: CommunicationDb,
  agentIds: readonly string[],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const rows = await queryRows<{ agentId: string; clusters: readonly string[] }>(db)`
    select m.agent_id, array_agg(m.cluster_id order by m.cluster_id) as clusters
    from routed_members m join routed_clusters c on c.cluster_id = m.cluster_id
    where c.state = 'open' and m.agent_id = ${anyOf(agentIds)} group by m.agent_id`;
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
  const rows = await queryRows<{ capability: string; agentIds: readonly string[] }>(db)`
    select w.capability, array(
      select agent_id from (
        (select agent_id from capability_inboxes c where c.capability = w.capability and ${isWithin}
          and c.inbox_no >= (${draw}::double precision * (select coalesce(max(no), 0) from inboxes))::integer
          order by c.inbox_no limit ${capableSample})
        union
        (select agent_id from capability_inboxes c where c.capability = w.capability and ${isWithin}
          order by c.inbox_no limit ${capableSample})) sample order by agent_id) as agent_ids
    from unnest(${capabilities}::text[]) as w (capability)`;
  return new Map(rows.map(({ capability, agentIds }) => [capability, agentIds]));
}
