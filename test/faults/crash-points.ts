import { formationSteps } from '../../src/contracts/steps.js';
import { releaseExpiredReservations } from '../../src/stores/clusters/index.js';
import type { Violation } from '../support/checker.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment } from './deployment.js';

const moments = ['before', 'before-commit', 'after-commit'] as const;

/** Where the worker is killed during a formation: before, inside and after the transaction of each step. */
export const formingPoints: readonly string[] = [
  ...formationSteps.flatMap((step) => moments.map((moment) => `${step}:${moment}`)),
  'initializeCluster:before-announcement',
];

/** Where the worker is killed during the compensation of a formation. */
export const undoingPoints: readonly string[] = [
  ...formationSteps.toReversed().flatMap((step) => moments.map((moment) => `undo:${step}:${moment}`)),
  'undo:establishConnections:routes-closed',
  'settleOperation:after-commit',
];

export interface Crashed {
  readonly states: readonly string[];
  readonly recoveryMs: number;
  readonly violations: readonly Violation[];
}

let runs = 0;

async function statesOf({ stores }: Deployment, ids: readonly string[]): Promise<string[]> {
  const rows = await stores.clusters.selectFrom('operations').select('state').where('id', 'in', ids).execute();
  return rows.map((row) => row.state);
}

/** Kills the worker at a point while three clusters form from four agents, and waits until the operations end. */
export async function crashWhileForming(deployment: Deployment, point: string): Promise<Crashed> {
  runs += 1;
  const capability = `forming-${runs}`;
  await addAgents(deployment.stores.clusters, 4, { capabilities: [capability], maxClusters: 3 }, capability);
  deployment.arm([point]);
  const started = await Promise.all(
    [1, 2, 3].map((number) =>
      deployment.manager.startFormation({
        requestId: `${capability}-${number}`,
        name: capability,
        requiredCapabilities: [capability],
      }),
    ),
  );
  await waitFor(`the crash at ${point}`, () => deployment.fired(point) !== undefined, {
    timeoutMs: 60_000,
    everyMs: 5,
  });
  const crashedMs = performance.now();
  const results = await Promise.allSettled(started.map(({ workflowId }) => deployment.manager.result(workflowId)));
  const recoveryMs = performance.now() - crashedMs;
  await deployment.settle();
  const states = await statesOf(
    deployment,
    started.map(({ operationId }) => operationId),
  );
  return {
    states: results.length === states.length ? states : ['missing'],
    recoveryMs,
    violations: await deployment.check(),
  };
}

/**
 * Kills the worker after it announced a cluster and before it activated it, releases the reservations so that the
 * formation must be compensated, and kills the worker again at a point of the compensation.
 */
export async function crashWhileUndoing(deployment: Deployment, point: string): Promise<Crashed> {
  runs += 1;
  const capability = `undoing-${runs}`;
  const lastStep = 'initializeCluster:before';
  await addAgents(deployment.stores.clusters, 3, { capabilities: [capability] }, capability);
  deployment.arm([lastStep, point]);
  const { workflowId, operationId } = await deployment.manager.startFormation({
    requestId: capability,
    name: capability,
    requiredCapabilities: [capability],
  });
  await waitFor('the first crash', () => deployment.fired(lastStep) !== undefined, { timeoutMs: 60_000, everyMs: 5 });
  await deployment.stores.clusters
    .updateTable('memberships')
    .set({ expiresAt: new Date(0) })
    .where('operationId', '=', operationId)
    .execute();
  await releaseExpiredReservations(deployment.stores.clusters);
  await waitFor(`the crash at ${point}`, () => deployment.fired(point) !== undefined, {
    timeoutMs: 60_000,
    everyMs: 5,
  });
  const crashedMs = performance.now();
  await deployment.manager.result(workflowId).catch(() => undefined);
  const recoveryMs = performance.now() - crashedMs;
  await deployment.settle();
  return { states: await statesOf(deployment, [operationId]), recoveryMs, violations: await deployment.check() };
}
