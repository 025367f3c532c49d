import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { IdentifyAgentsInput } from '../activities/formation/identify-agents.js';
import type { FormationResult } from '../contracts/formation.js';
import { clusterIdOf, type OperationIds } from '../contracts/ids.js';
import type { FormClusterInput } from '../contracts/workflow-inputs.js';
import { formationSteps } from './activity-options.js';
import { deadlineOf, queueSecondsOf } from './deadlines.js';
import { runSaga } from './saga.js';
import { receiveWakeSignal, type WakeSignal } from './wake-signal.js';

type Target = IdentifyAgentsInput['for'];

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
  let deadlineMs = deadlineOf(target);
  const saga = {
    ...ids,
    component: 'formation',
    details: `Forming ${ids.clusterId}`,
    cancelledDetail: 'The operation was cancelled and its steps were compensated',
  } as const;
  return runSaga(saga, async (compensateWith) => {
    for (let round = 0; ; round += 1) {
      compensateWith('releaseAgents');
      const found = await formationSteps(deadlineMs, `candidates of ${ids.clusterId}`).identifyAgents({
        ...ids,
        workflowId,
        round,
        for: target,
      });
      compensateWith('withdrawCluster');
      const defined = await formationSteps(deadlineMs, `${found.reserved} agents reserved`).defineCluster({
        ...ids,
        round,
      });
      if (defined.state === 'forming') break;
      setCurrentDetails(`**Queued**, position ${defined.position}: ${defined.reason}`);
      await wake.untilServed(queueSecondsOf(target), defined.reason);
      deadlineMs = deadlineOf(target);
    }
    compensateWith('closeConnections');
    await connect(ids, deadlineMs, wake);
    compensateWith('retireCluster');
    const result = await formationSteps(deadlineMs, 'routes, account, epoch').initializeCluster(ids);
    setCurrentDetails(
      `**Active** at epoch ${result.epoch}, ${result.members.length} members, coordinator ${result.coordinator}`,
    );
    return result;
  });
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
