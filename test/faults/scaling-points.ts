import type { ScalingResult } from '../../src/contracts/scaling.js';
import { findOperation } from '../../src/stores/clusters/index.js';
import { listCapacityRequests } from '../../src/stores/resources/index.js';
import type { Violation } from '../support/checker.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { ackInboxes, sendToMembers } from '../support/cluster-messages.js';
import type { Deployment } from './deployment.js';

const around = (step: string): string[] => ['before', 'before-commit', 'after-commit'].map((at) => `${step}:${at}`);

/**
 * Where a worker may die while it scales: before, inside and after the transaction of each step and between the writes
 * that one step makes to several databases; and while the run only waits, in a soak, a drain or for the orchestrator.
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

/** How each scenario ends, wherever the worker died on the way. */
export const scalingEnds: Readonly<Record<Scenario, object>> = {
  grow: { state: 'completed', outcome: 'scaled', size: 5, joined: 2, left: 0, violations: [] },
  shrink: { state: 'completed', outcome: 'scaled', size: 3, joined: 0, left: 2, violations: [] },
  ask: { state: 'completed', outcome: 'scaled', size: 5, joined: 2, left: 0, violations: [] },
  rollBack: { state: 'completed', outcome: 'rolled_back', size: 4, joined: 2, left: 2, violations: [] },
  undo: { state: 'cancelled', outcome: undefined, size: 3, joined: undefined, left: undefined, violations: [] },
};

/** Size before, agents that are free beside it, and what is asked for. */
const asked = {
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

/** Kills the worker at a point of a scaling, and waits until that is over. */
export async function crashWhileScaling(deployment: Deployment, scenario: Scenario, point: string): Promise<Scaled> {
  runs += 1;
  const name = `${scenario.toLowerCase()}-${runs}`;
  const { size, spare, request } = asked[scenario];
  const { clusterId } = await clusterOf(deployment, name, { size, spare });
  const isDraining = scenario === 'undo' || point === 'drain';
  if (isDraining) await sendToMembers(deployment.stores, clusterId);
  const isWaiting = point === 'soak' || point === 'drain' || point === 'wait';
  deployment.arm(isWaiting ? [] : [point]);
  const { workflowId, operationId } = await deployment.manager.startScaling({
    requestId: `${name}-scale`,
    clusterId,
    ...request,
  });
  if (scenario === 'rollBack') await disable(deployment, clusterId, { from: size, to: request.desired });
  if (scenario === 'undo') {
    await waitFor('the drain', async () => (await membersOf(deployment, clusterId, 'leaving')).length === 2);
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
  if (point === 'drain') await ackInboxes(deployment.stores, await membersOf(deployment, clusterId, 'leaving'));
  const result = await deployment.manager.result<ScalingResult>(workflowId).catch(() => undefined);
  const recoveryMs = performance.now() - crashedMs;
  await deployment.settle();
  return {
    state: (await findOperation(deployment.stores.clusters, operationId))?.state,
    outcome: result?.outcome,
    size: (await membersOf(deployment, clusterId, 'active')).length,
    joined: result?.joined.length,
    left: result?.left.length,
    recoveryMs,
    violations: await deployment.check(),
  };
}

/** A cluster of agents of its own kind, and more of that kind. Idle ones keep the fleet's headroom free. */
export async function clusterOf(
  deployment: Deployment,
  name: string,
  {
    size,
    spare,
    capability = name,
    resources = {},
  }: {
    readonly size: number;
    readonly spare: number;
    readonly capability?: string;
    readonly resources?: Readonly<Record<string, number>>;
  },
): Promise<{ readonly clusterId: string }> {
  await addAgents(deployment.stores.clusters, size + spare, { capabilities: [capability], resources }, name);
  await addAgents(deployment.stores.clusters, size + spare, { capabilities: ['idle'] }, `${name}-idle`);
  return deployment.manager.formCluster({
    requestId: name,
    name,
    requiredCapabilities: [capability],
    size: { min: 3, desired: size, max: 10 },
  });
}

export async function membersOf(
  deployment: Deployment,
  clusterId: string,
  state: 'active' | 'leaving',
): Promise<string[]> {
  const rows = await deployment.stores.clusters
    .selectFrom('memberships')
    .select('agentId')
    .where('clusterId', '=', clusterId)
    .where('state', '=', state)
    .execute();
  return rows.map(({ agentId }) => agentId);
}

/** Who joins goes unready, and one of the others: the score falls below what passes. */
async function disable(
  deployment: Deployment,
  clusterId: string,
  { from, to }: { readonly from: number; readonly to: number },
) {
  const before = (await membersOf(deployment, clusterId, 'active')).slice(0, from);
  const members = await waitFor('the growth', async () => {
    const ids = await membersOf(deployment, clusterId, 'active');
    return ids.length === to ? ids : undefined;
  });
  const unready = [...members.filter((id) => !before.includes(id)), ...before.slice(0, 1)];
  await deployment.stores.clusters
    .updateTable('agents')
    .set({ readiness: 'unavailable' })
    .where('id', 'in', unready)
    .execute();
}

/** Kills the worker while the run has nothing to do but to wait. */
async function killInWait(
  deployment: Deployment,
  {
    clusterId,
    operationId,
    point,
  }: { readonly clusterId: string; readonly operationId: string; readonly point: string },
): Promise<void> {
  await waitFor(`the ${point}`, async () => {
    if (point === 'drain') return (await membersOf(deployment, clusterId, 'leaving')).length > 0;
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

/** The orchestrator adds what was asked for, and says so. */
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
