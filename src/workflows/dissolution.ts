import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  log,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { FormationActivities } from '../activities/formation/index.js';
import { codeOfFailureType } from '../contracts/errors.js';
import type { DissolveClusterInput } from '../contracts/workflow-inputs.js';
import { stepsUntil, compensations } from './activity-options.js';
import { describeRun } from './describe-run.js';

const lookEverySeconds = 1;

/** Dissolves a cluster: formation's path backwards, after its members had time to ack their mail. */
export async function dissolveCluster(
  input: DissolveClusterInput,
): Promise<{ readonly clusterId: string; readonly unackedMail: number }> {
  const { operationId, clusterId, drainSeconds } = input;
  const ids = { operationId, clusterId };
  describeRun('formation', { clusterId, doing: `Dissolving ${clusterId}` });
  const steps = stepsUntil(Date.now() + (drainSeconds + 120) * 1_000, `dissolve ${clusterId}`);
  try {
    await steps.beginDissolution({ ...input, workflowId: workflowInfo().workflowId });
  } catch (error) {
    await settleRefused(ids, error);
    throw error;
  }
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

/**
 * Gives the members time for their mail. There is no way back any more: what goes wrong here, a cancellation too, only
 * cuts the wait short.
 */
async function drain(
  steps: Pick<FormationActivities, 'countOpenMail'>,
  { clusterId, drainSeconds }: DissolveClusterInput,
): Promise<number> {
  let unackedMail = 0;
  try {
    unackedMail = await steps.countOpenMail({ clusterId });
    for (let waited = 0; unackedMail > 0 && waited < drainSeconds; waited += lookEverySeconds) {
      setCurrentDetails(`Draining: ${unackedMail} deliveries are not acked yet`);
      await sleep(lookEverySeconds * 1_000, { summary: `drain, ${unackedMail} deliveries are open` });
      unackedMail = await steps.countOpenMail({ clusterId });
    }
  } catch (error) {
    log.warn('The drain was cut short', { clusterId, error });
  }
  return unackedMail;
}

/** A refusal for the cluster's state is the end of its operation. After a time-out it may have begun: that is looked at again later. */
async function settleRefused(ids: Pick<DissolveClusterInput, 'operationId' | 'clusterId'>, error: unknown) {
  const cause = error instanceof ActivityFailure ? error.cause : undefined;
  const code = cause instanceof ApplicationFailure ? codeOfFailureType(cause.type) : undefined;
  if (!cause || code !== 'state_conflict') return;
  const detail = cause.message;
  await CancellationScope.nonCancellable(() =>
    compensations.settleOperation({ ...ids, state: 'refused', error: { code, detail } }),
  );
}
