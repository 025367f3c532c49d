import { MockActivityEnvironment } from '@temporalio/testing';
import { createActivities, type Activities, type WorkerParts } from '../../src/activities/index.js';
import type { FormationRequest, FormationResult } from '../../src/contracts/formation.js';
import { clusterIdOf } from '../../src/contracts/ids.js';
import { testSettings } from '../support/worker.js';

export type Call = <Name extends keyof Activities>(
  name: Name,
  input: Parameters<Activities[Name]>[0],
) => Promise<Awaited<ReturnType<Activities[Name]>>>;

/** Calls activities as a worker does, each in its own activity context, but without a workflow. */
export function callActivities(stores: Pick<WorkerParts, 'clusters' | 'communication' | 'resources'>): Call {
  const activities = createActivities({ ...stores, settings: testSettings });
  const call = (name: keyof Activities, input: unknown): Promise<unknown> =>
    new MockActivityEnvironment({ attempt: 1 }).run(activities[name] as (input: unknown) => Promise<unknown>, input);
  return call as Call;
}

export type Outcome =
  | { readonly state: 'formed'; readonly result: FormationResult }
  | { readonly state: 'refused' | 'compensated'; readonly type: string; readonly message: string };

/** Calls the activities of `formCluster` in its order, and compensates when a step fails. */
export async function formDirectly(
  call: Call,
  request: FormationRequest & { readonly requestId: string },
  /** Runs before each step, and may run the step itself as well: a duplicate or an attempt whose answer was lost. */
  disturb: (run: () => Promise<unknown>) => Promise<void> = () => Promise.resolve(),
): Promise<Outcome> {
  const operationId = request.requestId;
  const ids = { operationId, clusterId: clusterIdOf(operationId) };
  const step = (async (name: keyof Activities, input: never): Promise<unknown> => {
    await disturb(() => call(name, input));
    return call(name, input);
  }) as Call;
  try {
    await step('identifyAgents', { ...ids, workflowId: `formation/${operationId}`, round: 0, for: { request } });
    await step('defineCluster', { ...ids, round: 0 });
    await step('establishConnections', ids);
    return { state: 'formed', result: await step('initializeCluster', ids) };
  } catch (error) {
    const { type = 'unknown', message } = error as { type?: string; message: string };
    const state = type === 'InsufficientAgents' ? 'refused' : 'compensated';
    await undoDirectly(step, ids, { state, code: type, detail: message });
    return { state, type, message };
  }
}

/** Compensates a formation or repair that reached its last step, in reverse order. */
export async function undoDirectly(
  call: Call,
  ids: { readonly operationId: string; readonly clusterId: string },
  { state, ...error }: { readonly state: 'refused' | 'compensated'; readonly code: string; readonly detail: string },
): Promise<void> {
  await call('retireCluster', ids);
  await call('closeConnections', ids);
  await call('withdrawCluster', ids);
  await call('releaseAgents', ids);
  await call('settleOperation', { ...ids, state, error });
}

/** Calls the activities of `dissolveCluster` in its order, without the drain. */
export async function dissolveDirectly(call: Call, clusterId: string, operationId = `dis-${clusterId}`): Promise<void> {
  const ids = { operationId, clusterId };
  await call('beginDissolution', { ...ids, drainSeconds: 0, workflowId: `dissolution/${clusterId}` });
  await call('retireCluster', ids);
  await call('closeConnections', ids);
  await call('withdrawCluster', ids);
  await call('releaseAgents', ids);
  await call('settleOperation', { ...ids, state: 'completed' });
}
