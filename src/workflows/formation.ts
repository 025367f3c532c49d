import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { IdentifyAgentsInput } from '../activities/formation/identify-agents.js';
import type { FormationResult } from '../contracts/formation.js';
import { clusterIdOf, type ClusterId, type OperationId } from '../contracts/ids.js';
import type { FormClusterInput, RepairClusterInput } from '../contracts/workflow-inputs.js';
import { stepsUntil } from './activity-options.js';
import { startSaga } from './saga.js';
import { describeRun } from './describe-run.js';
import { deadlineOf, queueOf, wakeUps, type WakeUps } from './waiting.js';

/**
 * form_cluster: from a request to an active cluster in four steps, or back to where it began.
 * A request that asked to be queued waits here, durably, until the formation interval has reserved agents for it.
 */
export function formCluster(request: FormClusterInput): Promise<FormationResult> {
  const operationId = request?.requestId ?? workflowInfo().workflowId.replace(/^formation\//, '');
  return form({ operationId, clusterId: clusterIdOf(operationId) }, { request });
}

/** Brings an active cluster back to its size: the same four steps, for the members it lost. */
export const repairCluster = ({ operationId, clusterId }: RepairClusterInput): Promise<FormationResult> =>
  form({ operationId, clusterId }, { repair: clusterId });

interface Ids {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
}

async function form(ids: Ids, what: IdentifyAgentsInput['for']): Promise<FormationResult> {
  const { workflowId } = workflowInfo();
  const wakes = wakeUps();
  const saga = startSaga(ids);
  let deadlineMs = deadlineOf(what);
  describeRun('formation', { clusterId: ids.clusterId, doing: `Forming ${ids.clusterId}` });
  try {
    for (let round = 0; ; round += 1) {
      saga.undoWith('releaseAgents');
      const found = await stepsUntil(deadlineMs, `${ids.clusterId}: who can be a member`).identifyAgents({
        ...ids,
        workflowId,
        round,
        for: what,
      });
      saga.undoWith('withdrawCluster');
      const defined = await stepsUntil(deadlineMs, `${found.reserved} agents reserved`).defineCluster({
        ...ids,
        round,
      });
      if (defined.state === 'forming') break;
      setCurrentDetails(`**Queued**, place ${defined.position}: ${defined.reason}`);
      deadlineMs = await wakes.untilServed(queueOf(what), defined.reason, () => deadlineOf(what));
    }
    saga.undoWith('closeConnections');
    await connect(ids, deadlineMs, wakes);
    saga.undoWith('retireCluster');
    const result = await stepsUntil(deadlineMs, 'routes, account, epoch').initializeCluster(ids);
    setCurrentDetails(
      `**Active** at epoch ${result.epoch}, ${result.members.length} members, coordinator ${result.coordinator}`,
    );
    return result;
  } catch (error) {
    throw await saga.fail(error);
  }
}

/** Agents that want to be asked answer in their own time: the wait is a durable timer here, not a busy activity. */
async function connect(ids: Ids, deadlineMs: number, wakes: WakeUps): Promise<void> {
  for (;;) {
    const { waitSeconds, invited } = await stepsUntil(deadlineMs, 'inboxes, invitations, links').establishConnections(
      ids,
    );
    if (waitSeconds === null) return;
    setCurrentDetails(`Waiting for ${invited.join(', ')} to answer`);
    await wakes.orAfter(waitSeconds, `answers of ${invited.join(', ')}`.slice(0, 200));
  }
}
