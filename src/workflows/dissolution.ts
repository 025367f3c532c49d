import { CancellationScope, log, setCurrentDetails, sleep, workflowInfo } from '@temporalio/workflow';
import type { ErrorCode } from '../contracts/errors.js';
import type { DissolveClusterInput } from '../contracts/workflow-inputs.js';
import { compensations, formationSteps } from './activity-options.js';
import { runSaga } from './saga.js';

const pollSeconds = 1;

/** Dissolves a cluster by the compensations of a formation, after its members had time to ack their deliveries. */
export async function dissolveCluster(
  input: DissolveClusterInput,
): Promise<{ readonly clusterId: string; readonly unackedMail: number }> {
  const { operationId, clusterId, drainSeconds } = input;
  const ids = { operationId, clusterId };
  const steps = formationSteps(Date.now() + (drainSeconds + 120) * 1_000, `dissolve ${clusterId}`);
  const saga = {
    ...ids,
    component: 'formation',
    details: `Dissolving ${clusterId}`,
    cancelledDetail: 'The operation was cancelled before the dissolution began',
    // After a time-out or a cancellation the dissolution may have begun: the operation stays open and is resumed.
    settles: (code: ErrorCode) => code === 'state_conflict',
  } as const;
  await runSaga(saga, () => steps.beginDissolution({ ...input, workflowId: workflowInfo().workflowId }));
  const unackedMail = await drain(steps, input);
  await CancellationScope.nonCancellable(async () => {
    await compensations.retireCluster(ids);
    await compensations.closeConnections(ids);
    await compensations.withdrawCluster(ids);
    await compensations.releaseAgents(ids);
    await compensations.settleOperation({ ...ids, state: 'completed' });
  });
  setCurrentDetails(`**Dissolved**, ${unackedMail} deliveries left unacked`);
  return { clusterId, unackedMail };
}

/** Gives members time to ack. The dissolution cannot be undone: a failure or a cancellation only cuts the wait short. */
async function drain(
  steps: Pick<typeof compensations, 'countOpenDeliveries'>,
  { clusterId, drainSeconds }: DissolveClusterInput,
): Promise<number> {
  let unacked = 0;
  try {
    unacked = await steps.countOpenDeliveries({ clusterId });
    for (let waited = 0; unacked > 0 && waited < drainSeconds; waited += pollSeconds) {
      setCurrentDetails(`Draining: ${unacked} deliveries are not acked yet`);
      await sleep(pollSeconds * 1_000, { summary: `drain, ${unacked} open deliveries` });
      unacked = await steps.countOpenDeliveries({ clusterId });
    }
  } catch (error) {
    log.warn('The drain was cut short', { clusterId, error });
  }
  return unacked;
}
