import { sql } from 'kysely';
import type { FormationSpec } from '../../contracts/formation.js';
import type { ClusterState } from '../../contracts/clusters.js';
import { ManagerError } from '../../contracts/errors.js';
import { isDatabaseError } from '../database.js';
import { withCommit } from '../pipelined-pool.js';
import type { MembershipRow } from './reservations.js';
import type { ClustersDb } from './schema.js';

export interface ClusterRow {
  readonly id: string;
  readonly name: string;
  readonly state: ClusterState;
  readonly epoch: number;
  readonly spec: FormationSpec;
  readonly coordinator: string | null;
  readonly links: readonly (readonly [string, string])[];
  readonly operationId: string;
  readonly createdAt: Date;
  readonly activatedAt: Date | null;
  readonly endedAt: Date | null;
}

export const clusterColumns = sql<ClusterRow>`
  c.id, c.name, c.state, c.epoch, c.spec, c.coordinator, c.links, c.operation_id as "operationId",
  c.created_at as "createdAt", c.activated_at as "activatedAt", c.ended_at as "endedAt"`;

export async function findCluster(db: ClustersDb, id: string): Promise<ClusterRow | undefined> {
  const { rows } = await sql<ClusterRow>`select ${clusterColumns} from clusters c where c.id = ${id}`.execute(db);
  return rows[0];
}

/** A cluster with its live memberships by agent id, in one question. */
export async function clusterWithMembers(
  db: ClustersDb,
  id: string,
): Promise<{ readonly cluster: ClusterRow; readonly members: readonly MembershipRow[] } | undefined> {
  const { rows } = await sql<ClusterRow & { members: readonly MembershipRow[] }>`
    select ${clusterColumns}, members_of(c.id) as members from clusters c where c.id = ${id}`.execute(db);
  if (!rows[0]) return undefined;
  const { members, ...cluster } = rows[0];
  return { cluster, members };
}

/** Locks the row until the end of the transaction: who changes membership holds this lock. */
export async function lockCluster(tx: ClustersDb, id: string): Promise<ClusterRow> {
  const { rows } =
    await sql<ClusterRow>`select ${clusterColumns} from clusters c where c.id = ${id} for update`.execute(tx);
  const cluster = rows[0];
  if (!cluster) throw new ManagerError('not_found', `There is no cluster "${id}"`);
  return cluster;
}

/** Writes a new cluster in state `forming`, epoch 0. An id that is another operation's fails the transaction: `isClusterTaken`. */
export async function insertCluster(
  tx: ClustersDb,
  cluster: { readonly id: string; readonly spec: FormationSpec; readonly operationId: string },
): Promise<void> {
  await sql`${withCommit}
    insert into clusters (id, name, state, epoch, spec, operation_id)
    values (${cluster.id}, ${cluster.spec.name}, 'forming', 0, ${JSON.stringify(cluster.spec)}::jsonb, ${cluster.operationId})
  `.execute(tx);
}

export const isClusterTaken = (error: unknown): boolean => isDatabaseError(error, 'clusters_pkey');

export async function saveLinks(
  tx: ClustersDb,
  clusterId: string,
  links: readonly (readonly [string, string])[],
): Promise<void> {
  await sql`${withCommit} update clusters set links = ${JSON.stringify(links)}::jsonb where id = ${clusterId}`.execute(
    tx,
  );
}

/**
 * The commit point of a formation or repair: its reservations become members of `epoch`, lost members are released,
 * the cluster turns active. Compare-and-set on the epoch before.
 * @throws ManagerError `reservation_lost` when fewer reservations are left than `joining` counts, `state_conflict`
 * when the cluster is no longer in the state and epoch that the plan was made for.
 */
export async function activateCluster(
  tx: ClustersDb,
  plan: {
    readonly clusterId: string;
    readonly operationId: string;
    readonly epoch: number;
    readonly coordinator: string;
    readonly joining: readonly string[];
    readonly leaving: readonly string[];
    /** What the cluster is meant to have from now on; as before if not given. */
    readonly desired?: number;
  },
): Promise<void> {
  const { desired = null } = plan;
  const { rows } = await sql<{ clusters: number; joined: number }>`
    with moved as (
      update clusters set state = 'active', epoch = ${plan.epoch}, coordinator = ${plan.coordinator},
        activated_at = coalesce(activated_at, now()),
        spec = case when ${desired}::integer is null then spec
          else jsonb_set(spec, '{size,desired}', to_jsonb(${desired}::integer)) end
      where id = ${plan.clusterId} and state in ('forming', 'active') and epoch = ${plan.epoch - 1} returning id
    ), released as (
      update memberships set state = 'released', left_at = now()
      where cluster_id = ${plan.clusterId} and state = 'active' and agent_id = any(${plan.leaving}::text[])
    ), joined as (
      update memberships set state = 'active', epoch = ${plan.epoch}, joined_at = now(), expires_at = null
      where cluster_id = ${plan.clusterId} and operation_id = ${plan.operationId} and state = 'reserved'
      returning cluster_id, agent_id, roles
    ), epoch as (
      insert into membership_epochs (cluster_id, epoch, agent_id, roles)
      select cluster_id, ${plan.epoch}::integer, agent_id, roles from joined
      union all
      select cluster_id, ${plan.epoch}::integer, agent_id, roles from memberships
      where cluster_id = ${plan.clusterId} and state = 'active' and agent_id <> all(${plan.leaving}::text[])
    )
    select (select count(*) from moved) as clusters, (select count(*) from joined) as joined`.execute(tx);
  const { clusters = 0, joined = 0 } = rows[0] ?? {};
  if (clusters !== 1) {
    throw new ManagerError(
      'state_conflict',
      `Cluster ${plan.clusterId} is no longer at epoch ${plan.epoch - 1}; it changed while members were chosen`,
    );
  }
  if (joined !== plan.joining.length) {
    throw new ManagerError(
      'reservation_lost',
      `${plan.joining.length - joined} of ${plan.joining.length} reservations of ${plan.clusterId} were released ` +
        'before it was formed; raise deadlineSeconds or ask again',
    );
  }
}

/** Moves a cluster out of service. `epoch` rises, so that what was routed for the old one is known to be stale. */
export async function retireCluster(tx: ClustersDb, clusterId: string, state: 'dissolving' | 'failed'): Promise<void> {
  await sql`
    update clusters set state = ${state}, epoch = epoch + 1, coordinator = null
    where id = ${clusterId} and state in ('forming', 'active', 'dissolving')`.execute(tx);
}

/**
 * The last word on a cluster. A cluster that already ended keeps its first end.
 * @param formedBy only a cluster that this operation formed, so that undoing one formation never touches another's.
 */
export async function endCluster(
  tx: ClustersDb,
  clusterId: string,
  state: 'dissolved' | 'failed',
  formedBy?: string,
): Promise<void> {
  await sql`
    update clusters set state = ${state}, coordinator = null, ended_at = now()
    where id = ${clusterId} and ended_at is null
      and (${formedBy ?? null}::text is null or operation_id = ${formedBy ?? null})`.execute(tx);
}

/** Releases the live memberships of a cluster, all or those that one operation brought, in agent order. */
export async function releaseMembers(tx: ClustersDb, clusterId: string, broughtBy?: string): Promise<void> {
  await sql`
    with held as (select id from memberships where cluster_id = ${clusterId} and state <> 'released'
      and (${broughtBy ?? null}::text is null or operation_id = ${broughtBy ?? null}) order by agent_id for update)
    update memberships m set state = 'released', left_at = now() from held where m.id = held.id`.execute(tx);
}

/**
 * Moves an active cluster on to a later epoch with the members it has: the one between was announced but never came to be.
 * @returns false, with nothing done, when the cluster is no longer active at `from`.
 */
export async function advanceEpoch(
  tx: ClustersDb,
  clusterId: string,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    update clusters set epoch = ${to} where id = ${clusterId} and epoch = ${from} and state = 'active'`.execute(tx);
  if (numAffectedRows !== 1n) return false;
  await sql`
    insert into membership_epochs (cluster_id, epoch, agent_id, roles)
    select cluster_id, ${to}, agent_id, roles from memberships
    where cluster_id = ${clusterId} and state = 'active'`.execute(tx);
  return true;
}

/**
 * Takes an active cluster out of service for good: from now on it is `dissolving`.
 * @throws ManagerError `state_conflict` when it is not active.
 */
export async function startDissolving(tx: ClustersDb, clusterId: string): Promise<void> {
  const cluster = await lockCluster(tx, clusterId);
  if (cluster.state === 'dissolving') return;
  if (cluster.state !== 'active') {
    throw new ManagerError(
      'state_conflict',
      `Cluster ${clusterId} is ${cluster.state}; only an active cluster can be dissolved` +
        (cluster.state === 'forming' ? `; cancel operation ${cluster.operationId} instead` : ''),
    );
  }
  await sql`update clusters set state = 'dissolving' where id = ${clusterId}`.execute(tx);
}
