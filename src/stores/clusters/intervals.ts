import { sql } from 'kysely';
import { countByState, queryRow, queryRows, queryValue } from '../expressions.js';
import type { ClusterRow } from './clusters.js';
import type { OperationRow } from './operations.js';
import type { ClustersDb } from './schema.js';

export interface ShortCluster extends ClusterRow {
  readonly living: number;
  readonly lost: readonly string[];
}

/**
 * Active clusters that have fewer live members than their minimum, because leases expired or agents left. None while no
 * server has been up for `graceSeconds`: after an outage of the manager expired leases say nothing of their agents.
 */
export const clustersBelowMinimum = (
  db: ClustersDb,
  { graceSeconds, limit }: { graceSeconds: number; limit: number },
): Promise<ShortCluster[]> =>
  queryRows<ShortCluster>(db)`
  select * from (
    select c.*,
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
  where living < (spec -> 'size' ->> 'min')::int order by id limit ${limit}`;

/** Queued formation requests in the order of their arrival. */
export const queuedOperations = (db: ClustersDb, limit: number): Promise<OperationRow[]> =>
  queryRows<OperationRow>(db)`
  select * from operations o where o.state = 'queued' order by o.created_at, o.id limit ${limit}`;

/**
 * How many formation requests are queued, and for how many memberships the live agents have room. The room is counted
 * only when a request is queued, since nothing needs it otherwise.
 */
export const queueAndRoom = async (db: ClustersDb): Promise<{ readonly waiting: number; readonly room: number }> =>
  (await queryRow<{ waiting: number; room: number }>(db)`
    select q.waiting, case when q.waiting = 0 then 0 else (
      select coalesce(sum(max_clusters - cluster_count), 0)::integer from agents
      where left_at is null and lease_expires_at > now() and readiness = 'ready') end as room
    from (select count(*) as waiting from operations where state = 'queued') q`) ?? { waiting: 0, room: 0 };

/** The place of a formation request in the queue, from 1. */
export const queuePosition = async (db: ClustersDb, operationId: string): Promise<number> =>
  (await queryValue<number>(db)`
    select count(*) from operations o, operations own
    where own.id = ${operationId} and o.state = 'queued' and (o.created_at, o.id) <= (own.created_at, own.id)`) ?? 0;

export async function setQueued(tx: ClustersDb, operationId: string, queued: boolean): Promise<void> {
  await sql`
    update operations set state = ${queued ? 'queued' : 'running'}, queued_at = coalesce(queued_at, now())
    where id = ${operationId} and state in ('running', 'queued')`.execute(tx);
}

/** Records that a server is up, and deletes servers that have been silent for a day. */
export async function recordServer(db: ClustersDb, id: string): Promise<void> {
  await sql`
    insert into servers (id, seen_at) values (${id}, now())
    on conflict (id) do update set seen_at = excluded.seen_at`.execute(db);
  await sql`delete from servers where seen_at < now() - interval '1 day'`.execute(db);
}

export async function removeServer(db: ClustersDb, id: string): Promise<void> {
  await db.deleteFrom('servers').where('id', '=', id).execute();
}

type AgentCounts = Readonly<Record<'alive' | 'expired' | 'left', number>>;

/** How many agents, clusters and operations are in each state. A state of clusters or operations without any is left out. */
export async function countsByState(db: ClustersDb) {
  const [agents = { alive: 0, expired: 0, left: 0 }, clusters, operations] = await Promise.all([
    queryRow<AgentCounts>(db)`
      select count(*) filter (where left_at is null and lease_expires_at > now()) as alive,
        count(*) filter (where left_at is null and lease_expires_at <= now()) as expired,
        count(*) filter (where left_at is not null) as left from agents`,
    countByState(db, 'clusters'),
    countByState(db, 'operations'),
  ]);
  return { agents, clusters, operations };
}
