import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { NewMessage } from './inbox.js';
import type { CommunicationDb } from './schema.js';

export interface RoutedMember {
  readonly agentId: string;
  readonly roles: readonly string[];
}

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

/**
 * Writes the immutable routing table of an epoch and the messages that tell its members, together. The same again
 * changes nothing.
 * @throws ManagerError `operation_ended` when the cluster was closed to routing, `state_conflict` when the epoch was
 * written before with other members: the caller's plan is stale.
 */
export async function routeAndDeliver(
  db: CommunicationDb,
  { clusterId, epoch, members }: RoutingTable,
  mail: readonly { readonly message: NewMessage; readonly recipients: readonly string[] }[],
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
    .selectFrom('routing_tables')
    .select(['epoch', 'members'])
    .where('cluster_id', '=', clusterId)
    .orderBy('epoch', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Closes a cluster to routing for good, whether or not it was ever open. */
export async function closeRoutes(db: CommunicationDb, clusterId: string): Promise<void> {
  await sql`
    insert into routed_clusters (cluster_id, state) values (${clusterId}, 'closed')
    on conflict (cluster_id) do update set state = 'closed'`.execute(db);
}
