import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type Stack } from '../../src/dev-stack/stack.js';
import type { Violation } from '../support/checker.js';
import { waitFor } from '../support/wait-for.js';
import { sendToMembers } from '../support/cluster-messages.js';
import { openDeployment, type Deployment } from './deployment.js';
import { printRecovery } from './recovery-figures.js';
import { clusterWithHeadroom } from './scaling-points.js';

const kills = 3;
const clustersAtOnce = 4;

let stateDir = '';
let stack: Stack;
let deployment: Deployment;

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-faults-'));
  stack = await startStack({ stateDir, ports: 'free', services: 'data' });
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = 'default' } = stack.env;
  deployment = await openDeployment(
    { adminUrl: stack.adminDatabaseUrl, temporal: { address, namespace } },
    { workers: 2 },
  );
});
afterAll(async () => {
  await deployment?.close();
  await stack?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

const scaled = async (): Promise<number> => {
  const { count } = await deployment.stores.clusters
    .selectFrom('operations')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('kind', '=', 'SCALING')
    .where('state', '=', 'completed')
    .executeTakeFirstOrThrow();
  return count;
};

/** Grows and shrinks each of several clusters in turn, with messages to drain and a soak, until it is stopped. */
async function startScalingLoad(name: string): Promise<{ readonly stop: () => Promise<void> }> {
  let stopped = false;
  const line = async (number: number): Promise<void> => {
    const clusterId = await clusterWithHeadroom(deployment, `${name}-${number}`, 3, { spare: 2 });
    await sendToMembers(deployment.stores, clusterId);
    for (let turn = 0; !stopped; turn += 1) {
      const request = { requestId: `${name}-${number}-${turn}`, clusterId, desired: turn % 2 === 0 ? 5 : 3 };
      // The request fails while a service is down, and is refused while an earlier scaling of the cluster still runs.
      await deployment.manager
        .scaleCluster({ ...request, soakSeconds: turn % 3, drainSeconds: 1, grantSeconds: 0 })
        .catch(() => delay(200));
    }
  };
  const lines = Promise.all(Array.from({ length: clustersAtOnce }, (_, number) => line(number)));
  await waitFor('the clusters', async () => (await scaled()) > 0, { timeoutMs: 60_000 });
  return {
    stop: async () => {
      stopped = true;
      await lines;
    },
  };
}

async function killUnderLoad(name: 'temporal' | 'postgres') {
  const recoveriesMs: number[] = [];
  const violations: Violation[] = [];
  for (let kill = 0; kill < kills; kill += 1) {
    const before = await scaled();
    const load = await startScalingLoad(`${name}-${kill}`);
    await waitFor('the load to run', async () => (await scaled()) > before + 5, { timeoutMs: 60_000 });
    // These invariants must hold at every instant, so they are checked while members join and leave.
    for (let check = 0; check < 10; check += 1) violations.push(...(await deployment.check({ while: 'running' })));
    const pid = stack.signal(name, 'SIGKILL');
    expect(pid).toBeGreaterThan(0);
    await waitFor(`the next process of ${name}`, () => {
      const status = stack.processes().find((process) => process.name === name);
      return status !== undefined && status.pid > 0 && status.pid !== pid;
    });
    await stack.waitReady(name);
    const healedMs = performance.now();
    await load.stop();
    await deployment.settle({ timeoutMs: 60_000 });
    recoveriesMs.push(performance.now() - healedMs);
    violations.push(...(await deployment.check()));
  }
  return { recoveriesMs, violations };
}

describe('scalings under load', () => {
  it.each(['temporal', 'postgres'] as const)(
    'every scaling ends with consistent clusters and ledgers after %s is killed',
    { timeout: 400_000 },
    async (name) => {
      const { recoveriesMs, violations } = await killUnderLoad(name);
      printRecovery(`scaling-${name}`, recoveriesMs);
      expect(violations).toEqual([]);
    },
  );
});
