import type { ClusterId, OperationId } from '../../contracts/ids.js';
import type { OperationError } from '../../contracts/operations.js';
import {
  findCluster,
  findOperation,
  passEpoch,
  releaseLeaving,
  releaseReservations,
  stepResult,
  undoStep,
} from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { findDecision, recordOutcome } from '../../stores/resources/index.js';
import { asActivity, thisAttempt } from '../as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { announceWhoStays } from '../formation/announce-who-stays.js';

export interface UndoScalingInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly error: OperationError;
}

/**
 * Gives back what a scaling took and did not use. Who has joined stays, and who is routed to no more is released: the
 * cluster is whole at every epoch, so there is nothing to turn back. Members may have been told of an epoch that never
 * was; the next one tells them who really is a member.
 */
export const undoScaling = (deps: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId, error }: UndoScalingInput): Promise<void> => {
    const { clusters, resources } = deps;
    const operation = await findOperation(clusters, operationId);
    if (!operation || operation.endedAt) return;
    const allocated = await stepResult(clusters, { operationId, step: 'allocateResources', round: 0 });
    const cluster = allocated ? await findCluster(clusters, clusterId) : undefined;
    const epoch = cluster?.state === 'active' ? await announceWhoStays(deps, cluster) : undefined;
    failpoint('undoScaling:announced');
    for (const step of ['adjustCluster:connect', 'adjustCluster:leave', 'adjustCluster']) {
      await undoStep(clusters, { operationId, step }, thisAttempt(), async (tx) => {
        await releaseLeaving(tx, operationId);
      });
    }
    await undoStep(clusters, { operationId, step: 'adjustCluster:join' }, thisAttempt(), async (tx) => {
      if (cluster && epoch) await passEpoch(tx, clusterId, { from: cluster.epoch, to: epoch });
    });
    await undoStep(clusters, { operationId, step: 'allocateResources' }, thisAttempt(), (tx) =>
      releaseReservations(tx, operationId),
    );
    const decision = `dec_${operationId}`;
    const known = await findDecision(resources, decision);
    if (known && known.outcome === null) await recordOutcome(resources, decision, 'failed', { operationId, error });
  });
