import { sql, type RawBuilder } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { andEqual, countChanged, queryRow } from '../expressions.js';
import { lockCluster } from './clusters.js';
import { releaseMemberships } from './memberships.js';
import type { ClustersDb } from './schema.js';

/** How the members of a cluster change from one epoch to the next. */
interface MemberChange {
  readonly clusterId: string;
  readonly operationId: string;
  readonly epoch: number;
  readonly coordinator: string;
  /** Agents that are members no longer from `epoch` on. */
  readonly leaving: readonly string[];
  /** The size that the cluster is to keep from now on; as before if not given. */
  readonly desired?: number;
}

/**
 * Moves a cluster from the epoch before to `epoch`, in one statement.
 * @param how.departure what is written to the memberships that end.
 * @param how.joins whether the operation's reservations become members.
 * @returns how many rows changed; no `clusters` when it is in another state or epoch.
 */
async function moveToEpoch(
  tx: ClustersDb,
  { clusterId, operationId, epoch, coordinator, leaving, desired }: MemberChange,
  { departure, joins }: { readonly departure: RawBuilder<unknown>; readonly joins: boolean },
): Promise<Readonly<Record<'clusters' | 'joined' | 'left', number>>> {
  const size =
    desired === undefined ? sql`spec` : sql`jsonb_set(spec, '{size,desired}', to_jsonb(${desired}::integer))`;
  const changed = await queryRow<Record<'clusters' | 'joined' | 'left', number>>(tx)`
    with moved as (
      update clusters set state = 'active', epoch = ${epoch}, coordinator = ${coordinator}, spec = ${size},
        activated_at = coalesce(activated_at, now())
      where id = ${clusterId} and state in ('forming', 'active') and epoch = ${epoch - 1} returning id
    ), departed as (
      update memberships set ${departure}
      where cluster_id = ${clusterId} and state = 'active' and agent_id = any(${leaving}::text[]) returning id
    ), joined as (
      update memberships set state = 'active', epoch = ${epoch}, joined_at = now(), expires_at = null
      where ${joins} and cluster_id = ${clusterId} and operation_id = ${operationId} and state = 'reserved'
      returning cluster_id, agent_id, roles
    ), epoch as (
      insert into membership_epochs (cluster_id, epoch, agent_id, roles)
      select cluster_id, ${epoch}::integer, agent_id, roles from joined
      union all
      select cluster_id, ${epoch}::integer, agent_id, roles from memberships
      where cluster_id = ${clusterId} and state = 'active' and agent_id <> all(${leaving}::text[])
    )
    select (select count(*) from moved) as clusters, (select count(*) from joined) as joined,
      (select count(*) from departed) as "left"`;
  return changed ?? { clusters: 0, joined: 0, left: 0 };
}

/**
 * The commit point of a formation or repair: its reservations become members of `epoch`, lost members are released and
 * the cluster becomes active, if it is at the epoch before.
 * @throws ManagerError `reservation_lost` when fewer reservations are left than `joining` counts, `state_conflict`
 * when the cluster is no longer in the state and epoch that the plan was made for.
 */
export async function activateCluster(
  tx: ClustersDb,
  plan: MemberChange & { readonly joining: readonly string[] },
): Promise<void> {
  const departure = sql`state = 'released', left_at = now()`;
  const { clusters, joined } = await moveToEpoch(tx, plan, { departure, joins: true });
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

/**
 * The commit point of a shrink: from `epoch` on the departing members are members no longer, if the cluster is at the epoch
 * before. Their agents stay reserved until `releaseLeaving`.
 * @throws ManagerError `state_conflict` when the cluster is no longer active at that epoch, or one of them no longer its member.
 */
export async function startLeaving(tx: ClustersDb, plan: MemberChange): Promise<void> {
  const departure = sql`state = 'leaving', leaving_since = clock_timestamp(), left_by = ${plan.operationId}`;
  const { clusters, left } = await moveToEpoch(tx, plan, { departure, joins: false });
  if (clusters === 1 && left === plan.leaving.length) return;
  throw new ManagerError(
    'state_conflict',
    `Cluster ${plan.clusterId} is no longer as it was at epoch ${plan.epoch - 1}; ` +
      `it changed while ${plan.leaving.join(', ')} were to leave`,
  );
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
  const moved = await countChanged(tx)`
    update clusters set epoch = ${to} where id = ${clusterId} and epoch = ${from} and state = 'active'`;
  if (moved !== 1) return false;
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
