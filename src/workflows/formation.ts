import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { IdentifyAgentsInput } from '../activities/formation/identify-agents.js';
import type { FormationResult } from '../contracts/formation.js';
import { clusterIdOf, type OperationIds } from '../contracts/ids.js';
import type { FormClusterInput } from '../contracts/workflow-inputs.js';
import { formationSteps } from './activity-options.js';
import { describeRun } from './describe-run.js';
import { startSaga } from './saga.js';
import { receiveWakeSignal, type WakeSignal } from './wake-signal.js';

type Target = IdentifyAgentsInput['for'];

/** The request is not validated yet: a value that is not a number gets the default here and is refused by the first step. */
const secondsOf = (target: Target, key: 'deadlineSeconds' | 'queueSeconds', defaultSeconds: number): number => {
  const value = 'request' in target ? (target.request as Record<string, unknown> | null)?.[key] : undefined;
  return typeof value === 'number' && value > 0 ? value : defaultSeconds;
};

/** When the current round must have ended, in epoch milliseconds. */
const deadlineOf = (target: Target): number => Date.now() + secondsOf(target, 'deadlineSeconds', 120) * 1_000;

/** How long a request may wait in the queue, in seconds. */
const queueSecondsOf = (target: Target): number => secondsOf(target, 'queueSeconds', 3_600);

/**
 * form_cluster: forms a cluster in four steps, or compensates everything.
 * A request with `onInsufficient: queue` waits here, durably, until the formation interval has reserved agents for it.
 */
export function formCluster(request: FormClusterInput): Promise<FormationResult> {
  const operationId = request?.requestId ?? workflowInfo().workflowId.replace(/^formation\//, '');
  return form({ operationId, clusterId: clusterIdOf(operationId) }, { request });
}

/** Replaces the lost members of an active cluster by the same four steps. */
export const repairCluster = ({ operationId, clusterId }: OperationIds): Promise<FormationResult> =>
  form({ operationId, clusterId }, { repair: clusterId });

async function form(ids: OperationIds, target: Target): Promise<FormationResult> {
  const { workflowId } = workflowInfo();
  const wake = receiveWakeSignal();
  const saga = startSaga({ ...ids, cancelledDetail: 'The operation was cancelled and its steps were compensated' });
  let deadlineMs = deadlineOf(target);
  describeRun('formation', { clusterId: ids.clusterId, details: `Forming ${ids.clusterId}` });
  try {
    for (let round = 0; ; round += 1) {
      saga.compensateWith('releaseAgents');
      const found = await formationSteps(deadlineMs, `candidates of ${ids.clusterId}`).identifyAgents({
        ...ids,
        workflowId,
        round,
        for: target,
      });
      saga.compensateWith('withdrawCluster');
      const defined = await formationSteps(deadlineMs, `${found.reserved} agents reserved`).defineCluster({
        ...ids,
        round,
      });
      if (defined.state === 'forming') break;
      setCurrentDetails(`**Queued**, position ${defined.position}: ${defined.reason}`);
      await wake.untilServed(queueSecondsOf(target), defined.reason);
      deadlineMs = deadlineOf(target);
    }
    saga.compensateWith('closeConnections');
    await connect(ids, deadlineMs, wake);
    saga.compensateWith('retireCluster');
    const result = await formationSteps(deadlineMs, 'routes, account, epoch').initializeCluster(ids);
    setCurrentDetails(
      `**Active** at epoch ${result.epoch}, ${result.members.length} members, coordinator ${result.coordinator}`,
    );
    return result;
  } catch (error) {
    throw await saga.fail(error);
  }
}

/** Invited agents answer in their own time: the wait is a durable timer here, not a busy activity. */
async function connect(ids: OperationIds, deadlineMs: number, wake: WakeSignal): Promise<void> {
  for (;;) {
    const steps = formationSteps(deadlineMs, 'inboxes, invitations, links');
    const { waitSeconds, invited } = await steps.establishConnections(ids);
    if (waitSeconds === null) return;
    setCurrentDetails(`Waiting for answers of ${invited.join(', ')}`);
    await wake.orAfter(waitSeconds, `answers of ${invited.join(', ')}`.slice(0, 200));
  }
}
