import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type Stack } from '../../src/dev-stack/stack.js';
import { seededRandom } from '../concurrency/seeded-random.js';
import type { Violation } from '../support/checker.js';
import { waitFor } from '../support/wait-for.js';
import { openDeployment, type Deployment } from './deployment.js';
import { startLoad } from './load.js';
import { printRecovery } from './recovery-figures.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
const terminalWithinMs = 30_000;

let stateDir = '';
let stack: Stack;
let deployment: Deployment;

beforeAll(async () => {
  process.stdout.write(`seed ${seed} (repeat with SEED=${seed})\n`);
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

const completed = async (): Promise<number> => {
  const { count } = await deployment.stores.clusters
    .selectFrom('operations')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('state', '=', 'completed')
    .executeTakeFirstOrThrow();
  return count;
};

/**
 * Kills Temporal or PostgreSQL `times` times under load.
 * @returns for each kill, how long after the restart all operations had ended; and every violation found then.
 */
async function killUnderLoad(name: 'temporal' | 'postgres', times: number) {
  const recoveriesMs: number[] = [];
  const violations: Violation[] = [];
  for (let kill = 0; kill < times; kill += 1) {
    const before = await completed();
    const load = await startLoad(deployment, { atOnce: 6, random });
    await waitFor('the load to run', async () => (await completed()) > before + 5, { timeoutMs: 60_000 });
    await delay(random() * 1_000);
    const pid = stack.signal(name, 'SIGKILL');
    expect(pid).toBeGreaterThan(0);
    await waitFor(`the next process of ${name}`, () => {
      const status = stack.processes().find((process) => process.name === name);
      return status !== undefined && status.pid > 0 && status.pid !== pid;
    });
    await stack.waitReady(name);
    const stopping = load.stop();
    const recoveryMs = await deployment.settle({ timeoutMs: terminalWithinMs, sweep: true });
    await stopping;
    // A caller that was sending a request in the meantime may have started one more operation.
    recoveriesMs.push(recoveryMs + (await deployment.settle({ timeoutMs: terminalWithinMs, sweep: true })));
    violations.push(...(await deployment.check()));
  }
  return { recoveriesMs, violations };
}

describe('formations and dissolutions under load', () => {
  it(
    'every operation ends and takes effect once when the Temporal server is killed',
    { timeout: 400_000 },
    async () => {
      const { recoveriesMs, violations } = await killUnderLoad('temporal', 3);
      printRecovery('temporal', recoveriesMs, { seed });
      expect(violations).toEqual([]);
    },
  );

  it(
    "every operation ends and takes effect once when PostgreSQL's postmaster is killed",
    { timeout: 400_000 },
    async () => {
      const { recoveriesMs, violations } = await killUnderLoad('postgres', 3);
      printRecovery('postgres', recoveriesMs, { seed });
      expect(violations).toEqual([]);
    },
  );

  it(
    'every operation ends and takes effect once when workers are killed at random for 60 s',
    { timeout: 300_000 },
    async () => {
      const load = await startLoad(deployment, { atOnce: 8, random });
      const before = await completed();
      const untilMs = performance.now() + 60_000;
      let kills = 0;
      while (performance.now() < untilMs) {
        await delay(1_000 + random() * 4_000);
        deployment.workers[random() < 0.5 ? 0 : 1]?.signal('SIGKILL');
        kills += 1;
      }
      const stopping = load.stop();
      const first = await deployment.settle({ timeoutMs: terminalWithinMs, sweep: true });
      await stopping;
      const recoveryMs = first + (await deployment.settle({ timeoutMs: terminalWithinMs, sweep: true }));
      expect(await deployment.check()).toEqual([]);
      const ended = (await completed()) - before;
      printRecovery('workers', [recoveryMs], { seed, kills, asked: load.asked(), completed: ended });
      expect(ended).toBeGreaterThan(10);
    },
  );
});
