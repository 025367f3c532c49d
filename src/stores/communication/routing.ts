import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { deliver, type NewMessage } from './inbox.js';
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
  await db.transaction().execute(async (tx) => {
    const { rows } = await sql<{ isSame: boolean }>`
      -- An update that changes nothing: unlike a select it sees the table of an attempt that ran at the same time.
      insert into routing_tables as t (cluster_id, epoch, members)
      select cluster_id, ${epoch}, ${JSON.stringify(members)}::jsonb from routed_clusters
      where cluster_id = ${clusterId} and state = 'open' for share
      on conflict (cluster_id, epoch) do update set members = t.members
      returning members = ${JSON.stringify(members)}::jsonb as "isSame"`.execute(tx);
    if (!rows[0]) throw new ManagerError('operation_ended', `Cluster ${clusterId} is closed to routing`);
    if (!rows[0].isSame) {
      throw new ManagerError('state_conflict', `Cluster ${clusterId} has another routing table for epoch ${epoch}`);
    }
    for (const { message, recipients } of mail) await deliver(tx, message, recipients);
  });
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
