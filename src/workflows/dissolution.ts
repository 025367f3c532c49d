import { setCurrentDetails, sleep, workflowInfo } from '@temporalio/workflow';
import type { DissolveClusterInput } from '../contracts/workflow-inputs.js';
import { stepsUntil, undoing } from './activity-options.js';
import { showRun } from './show-run.js';

const lookEverySeconds = 1;

/** Dissolves a cluster: formation's path backwards, after its members had time to ack their mail. */
export async function dissolveCluster(
  input: DissolveClusterInput,
): Promise<{ readonly clusterId: string; readonly unackedMail: number }> {
  const { operationId, clusterId, drainSeconds } = input;
  const ids = { operationId, clusterId };
  showRun(clusterId);
  const steps = stepsUntil(Date.now() + (drainSeconds + 120) * 1_000, `dissolve ${clusterId}`);
  await steps.beginDissolution({ ...input, workflowId: workflowInfo().workflowId });
  let unackedMail = await steps.countOpenMail(ids);
  for (let waited = 0; unackedMail > 0 && waited < drainSeconds; waited += lookEverySeconds) {
    setCurrentDetails(`Draining: ${unackedMail} deliveries are not acked yet`);
    await sleep(lookEverySeconds * 1_000);
    unackedMail = await steps.countOpenMail(ids);
  }
  await undoing.retireCluster(ids);
  await undoing.closeConnections(ids);
  await undoing.withdrawCluster(ids);
  await undoing.releaseAgents(ids);
  await undoing.settleOperation({ ...ids, state: 'completed' });
  setCurrentDetails(`**Dissolved**, ${unackedMail} deliveries left unacked`);
  return { clusterId, unackedMail };
}
