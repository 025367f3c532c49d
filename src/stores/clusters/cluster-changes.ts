import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { andEqual, queryRow } from '../expressions.js';
import { lockCluster } from './clusters.js';
import { releaseMemberships } from './reservations.js';
import type { ClustersDb } from './schema.js';

/**
 * The commit point of a formation or repair: its reservations become members of `epoch`, lost members are released and
 * the cluster becomes active, if it is at the epoch before.
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
    /** The size that the cluster is to keep from now on; as before if not given. */
    readonly desired?: number;
  },
): Promise<void> {
  const { desired = null } = plan;
  const row = await queryRow<{ clusters: number; joined: number }>(tx)`
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
    select (select count(*) from moved) as clusters, (select count(*) from joined) as joined`;
  const { clusters = 0, joined = 0 } = row ?? {};
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

/** Takes a cluster out of service at a new epoch, so that routing tables of the old one are known to be stale. */
export async function retireCluster(tx: ClustersDb, clusterId: string, state: 'dissolving' | 'failed'): Promise<void> {
  await sql`
    update clusters set state = ${state}, epoch = epoch + 1, coordinator = null
    where id = ${clusterId} and state in ('forming', 'active', 'dissolving')`.execute(tx);
}

/**
 * Writes the final state of a cluster. One that has ended keeps its first end.
 * @param formedBy only a cluster that this operation formed: compensating one formation never touches another's cluster.
 */
export async function endCluster(
  tx: ClustersDb,
  clusterId: string,
  state: 'dissolved' | 'failed',
  formedBy?: string,
): Promise<void> {
  await sql`
    update clusters set state = ${state}, coordinator = null, ended_at = now()
    where id = ${clusterId} and ended_at is null ${andEqual({ operationId: formedBy })}`.execute(tx);
}

/** Releases the memberships of a cluster, all or those of one operation. */
export const releaseMembers = (tx: ClustersDb, clusterId: string, operationId?: string): Promise<string[]> =>
  releaseMemberships(tx, sql`cluster_id = ${clusterId} and state <> 'released' ${andEqual({ operationId })}`);

/**
 * Moves an active cluster to a later epoch with the members it has: the epoch between was announced but never took effect.
 * @returns false, with nothing changed, when the cluster is not active at `from`.
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
 * Starts the dissolution of an active cluster; one that is being dissolved stays so.
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
  await tx.updateTable('clusters').set({ state: 'dissolving' }).where('id', '=', clusterId).execute();
}
