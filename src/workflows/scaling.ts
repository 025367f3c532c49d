import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { AssessedNeeds } from '../activities/scaling/assess-needs.js';
import type { OperationId, OperationIds, RoundIds } from '../contracts/ids.js';
import type { ScalingResult } from '../contracts/scaling.js';
import type { ScaleClusterInput } from '../contracts/workflow-inputs.js';
import { scalingSteps } from './activity-options.js';
import { isCapacityGranted, receiveCapacityAnswers } from './capacity-request.js';
import { runSaga } from './saga.js';
import { soak } from './soak.js';
import { receiveWakeSignal, type WakeSignal } from './wake-signal.js';

/**
 * scale_cluster: assesses what a cluster needs, allocates agents, adjusts the cluster, and verifies its stability. A
 * capacity request asks the orchestrator for what the fleet lacks; each granted request adds a round. A change that fails
 * its soak is rolled back in one more round. All waits are durable timers.
 */
export async function scaleCluster(request: ScaleClusterInput): Promise<ScalingResult> {
  const { workflowId } = workflowInfo();
  const operationId: OperationId = request?.requestId ?? workflowId.replace(/^scaling\//, '');
  const ids = { operationId, clusterId: String(request?.clusterId ?? '') };
  const wake = receiveWakeSignal();
  receiveCapacityAnswers(operationId, wake);
  const saga = {
    ...ids,
    component: 'scaling',
    details: `Assessing what ${ids.clusterId} needs`,
    cancelledDetail: 'The operation was cancelled; members that joined stay, unused reservations were released',
  } as const;
  return runSaga(saga, async (compensateWith) => {
    compensateWith('compensateScaling');
    const needs = await scalingSteps(`needs of ${ids.clusterId}`).assessNeeds({ operationId, workflowId, request });
    setCurrentDetails(`**${needs.explanation}**`);
    if (needs.direction !== 'none') await carryOut(ids, needs, wake);
    const result = await scalingSteps('outcome').settleScaling(ids);
    setCurrentDetails(`**${result.outcome}**: ${result.explanation} ${result.verdict}`);
    return result;
  });
}

/** Allocates and adjusts in rounds, then verifies the change and rolls it back once if it fails. */
async function carryOut(ids: OperationIds, { soak: soaking }: AssessedNeeds, wake: WakeSignal): Promise<void> {
  let hasChanged = false;
  let round = 0;
  for (; ; round += 1) {
    const { capacityRequest, isChanged } = await change({ ...ids, round }, wake);
    hasChanged ||= isChanged;
    if (!capacityRequest || !(await isCapacityGranted(capacityRequest, wake))) break;
  }
  if (!hasChanged || soaking.seconds === 0) return;
  const verdict = await soak({ ...ids, round: 0 }, soaking);
  if (verdict.state !== 'roll_back') return;
  setCurrentDetails(`**Rolling back** to ${verdict.to}: ${verdict.why}`);
  await change({ ...ids, round: round + 1 }, wake);
  await soak({ ...ids, round: 1 }, soaking);
}

/** One round: allocates what the cluster may have, and adjusts it until the joins and drains are done. */
async function change(ids: RoundIds, wake: WakeSignal) {
  const { plan, capacityRequest } = await scalingSteps(`round ${ids.round}`).allocateResources(ids);
  const summary = `${plan.joining.length} join, ${plan.leaving.length} leave`;
  for (;;) {
    const { waitSeconds, progress, joined, left } = await scalingSteps(summary).adjustCluster(ids);
    if (waitSeconds === null) return { capacityRequest, isChanged: joined.length + left.length > 0 };
    setCurrentDetails(`**Adjusting**: ${progress}`);
    await wake.orAfter(waitSeconds, progress.slice(0, 200));
  }
}
