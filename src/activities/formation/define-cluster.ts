import { ManagerError } from '../../contracts/errors.js';
import type { ClusterId, RoundIds } from '../../contracts/ids.js';
import { describeShortfall } from '../../domain/formation/describe-shortfall.js';
import { checkFormation } from '../../domain/formation/feasible.js';
import {
  insertCluster,
  isClusterTaken,
  lockCluster,
  queuePosition,
  saveStep,
  setQueued,
  type ClustersDb,
  type OpenStep,
} from '../../stores/clusters/index.js';
import type { FormationDeps } from '../deps.js';
import { thisAttempt } from '../shared/as-activity.js';
import { planOf, ruleOf, toPlaced } from './plan.js';

export type DefinedCluster =
  | { readonly state: 'forming'; readonly members: number }
  | { readonly state: 'queued'; readonly position: number; readonly reason: string };

/**
 * Step 2 of form_cluster: checks that the reserved agents satisfy the request, then writes the cluster in state `forming`,
 * epoch 0. A request that cannot be satisfied is queued if it asked for that.
 * @throws `InsufficientAgents` with what is missing; `ReservationLost`.
 */
export async function defineCluster({ clusters }: FormationDeps, input: RoundIds): Promise<DefinedCluster> {
  const key = { operationId: input.operationId, step: 'defineCluster', round: input.round };
  try {
    return await saveStep<DefinedCluster>(clusters, key, thisAttempt(), define, { members: true });
  } catch (error) {
    throw isClusterTaken(error) ? clusterTaken(input.clusterId, error) : error;
  }
}

async function define(tx: ClustersDb, { operation, plan: saved, members }: OpenStep): Promise<DefinedCluster> {
  const { id: operationId, clusterId } = operation;
  const plan = planOf(saved, operationId);
  if (plan.shortfall.length > 0) {
    const reason = describeShortfall(plan.shortfall, plan.rejected);
    if (plan.spec.onInsufficient !== 'queue' || operation.kind !== 'FORMATION') {
      throw new ManagerError('insufficient_agents', reason);
    }
    await setQueued(tx, operationId, true);
    return { state: 'queued', position: await queuePosition(tx, operationId), reason };
  }
  const reserved = members.filter((member) => member.operationId === operationId);
  if (reserved.length < plan.joining.length) {
    throw new ManagerError(
      'reservation_lost',
      `${plan.joining.length - reserved.length} of ${plan.joining.length} reserved agents were released before the cluster was defined; ask again`,
    );
  }
  const final = members.filter((member) => member.operationId === operationId || plan.staying.includes(member.agentId));
  const shortfall = checkFormation(final.map(toPlaced), ruleOf(plan));
  if (shortfall.length > 0) throw new ManagerError('insufficient_agents', describeShortfall(shortfall));
  if (operation.kind === 'FORMATION') {
    if (operation.state === 'queued') await setQueued(tx, operationId, false);
    await insertCluster(tx, { id: clusterId, spec: plan.spec, operationId });
  } else {
    requireUnchanged(await lockCluster(tx, clusterId), plan.epoch);
  }
  return { state: 'forming', members: final.length };
}

const clusterTaken = (clusterId: ClusterId, cause: unknown): ManagerError =>
  new ManagerError(
    'state_conflict',
    `Cluster "${clusterId}" exists already, formed by another request; choose another requestId`,
    { cause },
  );

function requireUnchanged(cluster: { id: string; state: string; epoch: number }, epoch: number): void {
  if (cluster.state === 'active' && cluster.epoch === epoch) return;
  throw new ManagerError(
    'state_conflict',
    `Cluster ${cluster.id} is ${cluster.state} at epoch ${cluster.epoch}; its repair was planned for epoch ${epoch}`,
  );
}
