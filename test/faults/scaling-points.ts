import type { ScalingResult } from '../../src/contracts/scaling.js';
import { findOperation } from '../../src/stores/clusters/index.js';
import { listCapacityRequests } from '../../src/stores/resources/index.js';
import type { Violation } from '../support/checker.js';
import { clusterOf, membersOf, type ClusterOptions } from '../support/clusters.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { ackInboxes, sendToMembers } from '../support/cluster-messages.js';
import type { Deployment } from './deployment.js';

const around = (step: string): string[] => ['before', 'before-commit', 'after-commit'].map((at) => `${step}:${at}`);

/**
 * Where the worker is killed during a scaling: before, inside and after the transaction of each step; between the
 * writes of one step to several databases; and while the workflow waits in a soak, in a drain or for the orchestrator.
 */
export const scalingPoints = {
  grow: [
    ...around('assessNeeds:admitted'),
    ...around('assessNeeds'),
    'assessNeeds:decided',
    ...around('allocateResources'),
    ...around('adjustCluster:connect'),
    'adjustCluster:before-joining',
    ...around('adjustCluster:join'),
    'adjustCluster:noted',
    ...around('verifyStability:judged'),
    ...around('verifyStability'),
    'soak',
  ],
  shrink: [
    'adjustCluster:before-leaving',
    ...around('adjustCluster:leave'),
    'adjustCluster:drained',
    ...around('adjustCluster'),
    'drain',
  ],
  ask: ['allocateResources:asked', 'wait'],
  rollBack: ['verifyStability:blocked', ...around('adjustCluster:leave')],
  undo: [
    ...around('undo:adjustCluster:leave'),
    'compensate:announced',
    ...around('undo:allocateResources'),
    'settleOperation:after-commit',
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type Scenario = keyof typeof scalingPoints;

/** How each scenario ends, at whichever point the worker was killed. */
export const scalingEnds: Readonly<Record<Scenario, object>> = {
  grow: { state: 'completed', outcome: 'scaled', size: 5, joined: 2, left: 0, violations: [] },
  shrink: { state: 'completed', outcome: 'scaled', size: 3, joined: 0, left: 2, violations: [] },
  ask: { state: 'completed', outcome: 'scaled', size: 5, joined: 2, left: 0, violations: [] },
  rollBack: { state: 'completed', outcome: 'rolled_back', size: 4, joined: 2, left: 2, violations: [] },
  undo: { state: 'cancelled', outcome: undefined, size: 3, joined: undefined, left: undefined, violations: [] },
};

/** For each scenario: the size of the cluster, the free agents of its capability, and the scaling request. */
const setups = {
  grow: { size: 3, spare: 2, request: { desired: 5, soakSeconds: 3 } },
  shrink: { size: 5, spare: 0, request: { desired: 3, soakSeconds: 0 } },
  ask: { size: 3, spare: 0, request: { desired: 5, soakSeconds: 0 } },
  rollBack: { size: 4, spare: 2, request: { desired: 6, soakSeconds: 3 } },
  undo: { size: 5, spare: 0, request: { desired: 3, soakSeconds: 0 } },
} as const;

export interface Scaled {
  readonly state: string | undefined;
  readonly outcome: string | undefined;
  readonly size: number;
  readonly joined: number | undefined;
  readonly left: number | undefined;
  readonly recoveryMs: number;
  readonly violations: readonly Violation[];
}

let runs = 0;

/** Kills the worker at a point of a scaling, and waits until the scaling has ended. */
export async function crashWhileScaling(deployment: Deployment, scenario: Scenario, point: string): Promise<Scaled> {
  runs += 1;
  const name = `${scenario.toLowerCase()}-${runs}`;
  const { size, spare, request } = setups[scenario];
  const { clusters } = deployment.stores;
  const clusterId = await clusterWithHeadroom(deployment, name, size, { spare });
  const earlier = await membersOf(clusters, clusterId);
  const isDraining = scenario === 'undo' || point === 'drain';
  if (isDraining) await sendToMembers(deployment.stores, clusterId);
  const isWaiting = point === 'soak' || point === 'drain' || point === 'wait';
  deployment.arm(isWaiting ? [] : [point]);
  const { workflowId, operationId } = await deployment.manager.startScaling({
    requestId: `${name}-scale`,
    clusterId,
    ...request,
  });
  if (scenario === 'rollBack') await disableJoined(deployment, clusterId, { earlier, size: request.desired });
  if (scenario === 'undo') {
    await waitFor('the drain', async () => (await membersOf(clusters, clusterId, 'leaving')).length === 2);
    await deployment.manager.cancel(workflowId);
  }
  if (isWaiting) await killInWait(deployment, { clusterId, operationId, point });
  else
    await waitFor(`the crash at ${point}`, () => deployment.fired(point) !== undefined, {
      timeoutMs: 60_000,
      everyMs: 5,
    });
  const crashedMs = performance.now();
  if (scenario === 'ask') await grant(deployment, { clusterId, name, workflowId });
  if (point === 'drain') await ackInboxes(deployment.stores, await membersOf(clusters, clusterId, 'leaving'));
  const result = await deployment.manager.result<ScalingResult>(workflowId).catch(() => undefined);
  const recoveryMs = performance.now() - crashedMs;
  await deployment.settle();
  return {
    state: (await findOperation(clusters, operationId))?.state,
    outcome: result?.outcome,
    size: (await membersOf(clusters, clusterId)).length,
    joined: result?.joined.length,
    left: result?.left.length,
    recoveryMs,
    violations: await deployment.check(),
  };
}

/** Forms a cluster, and registers as many idle agents as it has agents, so that its growth leaves the headroom free. */
export async function clusterWithHeadroom(
  { stores: { clusters }, manager }: Deployment,
  name: string,
  size: number,
  options: ClusterOptions = {},
): Promise<string> {
  await addAgents(clusters, size + (options.spare ?? 0), { capabilities: ['idle'] }, `${name}-idle`);
  return clusterOf({ clusters, manager }, name, size, options);
}

/** Makes the joined members and one of the `earlier` ones unready, so that the stability score is below its threshold. */
async function disableJoined(
  { stores: { clusters } }: Deployment,
  clusterId: string,
  { earlier, size }: { readonly earlier: readonly string[]; readonly size: number },
): Promise<void> {
  const members = await waitFor('the growth', async () => {
    const ids = await membersOf(clusters, clusterId);
    return ids.length === size ? ids : undefined;
  });
  const unready = [...members.filter((id) => !earlier.includes(id)), ...earlier.slice(0, 1)];
  await clusters.updateTable('agents').set({ readiness: 'unavailable' }).where('id', 'in', unready).execute();
}

/** Kills the worker while the workflow waits: in a soak, in a drain or for the orchestrator. */
async function killInWait(
  deployment: Deployment,
  {
    clusterId,
    operationId,
    point,
  }: { readonly clusterId: string; readonly operationId: string; readonly point: string },
): Promise<void> {
  await waitFor(`the ${point}`, async () => {
    if (point === 'drain') return (await membersOf(deployment.stores.clusters, clusterId, 'leaving')).length > 0;
    const rows = await deployment.stores.clusters
      .selectFrom('operationSteps')
      .select('step')
      .where('operationId', '=', operationId)
      .where('step', 'in', ['adjustCluster', 'adjustCluster:join'])
      .execute();
    return rows.length > 0;
  });
  for (const worker of deployment.workers) worker.signal('SIGKILL');
}

/** Acts as the orchestrator: adds the two agents that the capacity request asks for, and grants the request. */
async function grant(
  deployment: Deployment,
  { clusterId, name, workflowId }: { readonly clusterId: string; readonly name: string; readonly workflowId: string },
): Promise<void> {
  const request = await waitFor(
    'the request',
    async () => (await listCapacityRequests(deployment.stores.resources, { clusterId, limit: 1 }))[0],
  );
  await addAgents(deployment.stores.clusters, 2, { capabilities: [name] }, `${name}-granted`);
  await deployment.manager.grantResources(workflowId, { requestId: request.id });
}
