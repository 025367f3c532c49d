import type { OperationIds } from '../../contracts/ids.js';
import type { OperationError } from '../../contracts/operations.js';
import {
  findOperation,
  releaseLeaving,
  releaseReservations,
  stepsOf,
  undoStep,
  type ClustersDb,
} from '../../stores/clusters/index.js';
import { recordFailure, withdrawCapacityRequests } from '../../stores/resources/index.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { ScalingDeps } from '../deps.js';
import { announceRemainingMembers } from '../shared/announce-remaining-members.js';
import { recordCommittedChange, type CommittedChange } from './record-change.js';

/**
 * Releases what a scaling reserved and did not use. Members that joined stay and departing members are released: the
 * cluster is whole at every epoch, so no membership is reverted.
 */
export async function compensateScaling(
  deps: ScalingDeps,
  { operationId, clusterId, error }: OperationIds & { readonly error: OperationError },
): Promise<void> {
  const { clusters, resources } = deps;
  const operation = await findOperation(clusters, operationId);
  if (operation?.endedAt) return;
  if (operation && !(await undoSteps(deps, { operationId, clusterId }))) return;
  // Also without an operation: an attempt may have stored its decision and died before it saved its step.
  await recordFailure(resources, `dec_${operationId}`, { operationId, error });
}

/** @returns false when a late attempt completed the operation first. */
async function undoSteps(deps: ScalingDeps, ids: OperationIds): Promise<boolean> {
  const { clusters, resources } = deps;
  const { operationId, clusterId } = ids;
  const undo = (step: string, work?: (tx: ClustersDb) => Promise<unknown>): Promise<void> =>
    undoStep(clusters, { operationId, step }, thisAttempt(), work);
  // First the steps that announce an epoch, so that a late attempt cannot change the cluster after the announcement below.
  await undo('adjustCluster:connect');
  await undo('adjustCluster:join');
  await undo('adjustCluster:leave', (tx) => releaseLeaving(tx, operationId));
  await undo('adjustCluster');
  await undo('verifyStability:judged');
  await undo('verifyStability');
  if ((await findOperation(clusters, operationId))?.endedAt) return false;
  const steps = await stepsOf(clusters, operationId);
  if (steps.some(({ step }) => step === 'allocateResources')) await announceRemainingMembers(deps, clusterId);
  for (const { step, round, result } of steps) {
    if (step !== 'adjustCluster:join' && step !== 'adjustCluster:leave') continue;
    await recordCommittedChange(resources, { ...ids, round }, result as CommittedChange);
  }
  await undo('allocateResources', (tx) => releaseReservations(tx, operationId));
  await undo('assessNeeds:admitted');
  await undo('assessNeeds');
  await withdrawCapacityRequests(resources, operationId);
  return true;
}
