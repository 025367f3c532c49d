import { sql } from 'kysely';
import { clusterColumns, type ClusterRow } from './formation.js';
import { operationColumns, type OperationRow } from './operations.js';
import type { ClustersDb } from './schema.js';

export interface ShortCluster extends ClusterRow {
  readonly living: number;
  readonly lost: readonly string[];
}

/**
 * Active clusters with members whose lease lapsed or who left, when that puts them below their minimum. None while
 * no server has been up for `graceSeconds`: after an outage of the manager itself leases have lapsed that say nothing
 * of their agents.
 */
export async function clustersBelowMinimum(
  db: ClustersDb,
  { graceSeconds, limit }: { graceSeconds: number; limit: number },
): Promise<ShortCluster[]> {
  const { rows } = await sql<ShortCluster>`
    select * from (
      select ${clusterColumns},
        count(*) filter (where a.left_at is null and a.lease_expires_at > now()) as living,
        coalesce(array_agg(a.id order by a.id) filter (where a.left_at is not null or a.lease_expires_at <= now()), '{}') as lost
      from clusters c
        join memberships m on m.cluster_id = c.id and m.state = 'active'
        join agents a on a.id = m.agent_id
      where c.state = 'active' and exists (
        select 1 from servers s where s.seen_at > now() - interval '15 seconds'
          and s.started_at < now() - make_interval(secs => ${graceSeconds}))
      group by c.id
    ) counted
    where living < (spec -> 'size' ->> 'min')::int order by id limit ${limit}`.execute(db);
  return rows;
}

/** Queued formation requests, first come first. */
export async function queuedOperations(db: ClustersDb, limit: number): Promise<OperationRow[]> {
  const { rows } = await sql<OperationRow>`
    select ${operationColumns} from operations o where o.state = 'queued' order by o.created_at, o.id limit ${limit}
  `.execute(db);
  return rows;
}

/**
 * How many formation requests wait in the queue, and for how many memberships the agents that are there have room; 0 where
 * nobody waits, since then nobody asks.
 */
export async function queueAndRoom(db: ClustersDb): Promise<{ readonly waiting: number; readonly room: number }> {
  const { rows } = await sql<{ waiting: number; room: number }>`
    select q.waiting, case when q.waiting = 0 then 0 else (
      select coalesce(sum(max_clusters - cluster_count), 0)::integer from agents
      where left_at is null and lease_expires_at > now() and readiness = 'ready') end as room
    from (select count(*) as waiting from operations where state = 'queued') q`.execute(db);
  return rows[0] ?? { waiting: 0, room: 0 };
}

/** How many formation requests stand before this one in the queue, plus one. */
export async function queuePosition(db: ClustersDb, operationId: string): Promise<number> {
  const { rows } = await sql<{ position: number }>`
    select count(*) as position from operations o, operations me
    where me.id = ${operationId} and o.state = 'queued' and (o.created_at, o.id) <= (me.created_at, me.id)`.execute(db);
  return rows[0]?.position ?? 0;
}

export async function setQueued(tx: ClustersDb, operationId: string, queued: boolean): Promise<void> {
  await sql`
    update operations set state = ${queued ? 'queued' : 'running'}, queued_at = coalesce(queued_at, now())
    where id = ${operationId} and state in ('running', 'queued')`.execute(tx);
}

/** A server says that it is up; rows of servers silent for a day are dropped. */
export async function recordServer(db: ClustersDb, serverId: string): Promise<void> {
  await sql`
    insert into servers (id, seen_at) values (${serverId}, now())
    on conflict (id) do update set seen_at = excluded.seen_at`.execute(db);
  await sql`delete from servers where seen_at < now() - interval '1 day'`.execute(db);
}

export async function removeServer(db: ClustersDb, serverId: string): Promise<void> {
  await sql`delete from servers where id = ${serverId}`.execute(db);
}

/**
 * The round in which a queued request is tried next. Agents reserved in it are found by the waiting workflow, which
 * counts its rounds the same way.
 */
export async function nextRound(db: ClustersDb, operationId: string): Promise<number> {
  const { rows } = await sql<{ round: number }>`
    select coalesce(max(round), -1) + 1 as round from operation_steps
    where operation_id = ${operationId} and step = 'defineCluster'`.execute(db);
  return rows[0]?.round ?? 0;
}
