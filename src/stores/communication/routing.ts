import { sql } from 'kysely';
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
      insert into routed_clusters (cluster_id, state) values (${clusterId}, 'open') on conflict do nothing
      returning state
    )
    select state from opened union all select state from routed_clusters where cluster_id = ${clusterId}`.execute(db);
  return rows[0]?.state === 'open';
}

/** Writes the immutable routing table of an epoch. The same epoch again, or a closed cluster, changes nothing. */
export async function saveRoutingTable(
  tx: CommunicationDb,
  table: { readonly clusterId: string; readonly epoch: number; readonly members: readonly RoutedMember[] },
): Promise<void> {
  await sql`
    insert into routing_tables (cluster_id, epoch, members)
    select cluster_id, ${table.epoch}, ${JSON.stringify(table.members)}::jsonb from routed_clusters
    where cluster_id = ${table.clusterId} and state = 'open' for share
    on conflict (cluster_id, epoch) do nothing`.execute(tx);
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
