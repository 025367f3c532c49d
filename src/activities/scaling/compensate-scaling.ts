import type { ClusterId, OperationId } from '../../contracts/ids.js';
import type { OperationError } from '../../contracts/operations.js';
import {
  findCluster,
  findOperation,
  inTransaction,
  advanceEpoch,
  releaseLeaving,
  releaseReservations,
  stepsOf,
  undoStep,
  type ClustersDb,
} from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { findDecision, recordOutcome, withdrawCapacityRequests } from '../../stores/resources/index.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { announceRemainingMembers } from '../formation/announce-remaining-members.js';
import { recordCommittedChange, type CommittedChange } from './record-change.js';

export interface CompensateScalingInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly error: OperationError;
}

/**
 * Gives back what a scaling took and did not use. Who has joined stays, and who is routed to no more is released: the
 * cluster is whole at every epoch, so there is nothing to turn back.
 */
export const compensateScaling = (deps: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId, error }: CompensateScalingInput): Promise<void> => {
    const { clusters, resources } = deps;
    const operation = await findOperation(clusters, operationId);
    if (operation?.endedAt) return;
    if (operation) await undo(deps, { operationId, clusterId });
    // An attempt that decided may have died before its operation was written.
    const decision = `dec_${operationId}`;
    const known = await findDecision(resources, decision);
    if (known && known.outcome === null) await recordOutcome(resources, decision, 'failed', { operationId, error });
  });

async function undo(deps: ActivityDeps, ids: Pick<CompensateScalingInput, 'operationId' | 'clusterId'>): Promise<void> {
  const { clusters, resources } = deps;
  const { operationId, clusterId } = ids;
  const bar = (step: string, work: (tx: ClustersDb) => Promise<unknown> = async () => undefined): Promise<void> =>
    undoStep(clusters, { operationId, step }, thisAttempt(), async (tx) => {
      await work(tx);
    });
  // Before anything is announced: an attempt that is still on its way must not move the cluster on after that.
  await bar('adjustCluster:connect');
  await bar('adjustCluster:join');
  await bar('adjustCluster:leave', (tx) => releaseLeaving(tx, operationId));
  await bar('adjustCluster');
  await bar('verifyStability:judged');
  const steps = await stepsOf(clusters, operationId);
  if (steps.some(({ step }) => step === 'allocateResources')) await tellWhoStays(deps, clusterId);
  for (const { step, round, result } of steps) {
    if (step !== 'adjustCluster:join' && step !== 'adjustCluster:leave') continue;
    await recordCommittedChange(deps, { ...ids, round }, result as CommittedChange);
  }
  await bar('allocateResources', (tx) => releaseReservations(tx, operationId));
  await bar('assessNeeds');
  await withdrawCapacityRequests(resources, operationId);
}

/** Members may have been told of an epoch that never was: the next free one tells them who really is a member. */
async function tellWhoStays(deps: ActivityDeps, clusterId: ClusterId): Promise<void> {
  const { clusters } = deps;
  for (;;) {
    const cluster = await findCluster(clusters, clusterId);
    const epoch = cluster?.state === 'active' ? await announceRemainingMembers(deps, cluster) : undefined;
    failpoint('undoScaling:announced');
    if (!cluster || epoch === undefined) return;
    // Somebody else may have moved the cluster on since it was read: then its members are told again.
    if (await inTransaction(clusters, (tx) => advanceEpoch(tx, clusterId, { from: cluster.epoch, to: epoch }))) return;
  }
}
