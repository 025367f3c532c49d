import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startStack, type Stack } from '../../src/dev-stack/stack.js';
import { seededRandom } from '../concurrency/seeded-random.js';
import { waitFor } from '../support/wait-for.js';
import { openDeployment, type Deployment, type DeploymentServer } from './deployment.js';
import { openMessagingLoad, patient, type MessagingLoad } from './messaging-load.js';
import { printRecovery } from './recovery-figures.js';

const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
const random = seededRandom(seed);
const drainedWithinMs = 90_000;

let stateDir = '';
let stack: Stack;
let deployment: Deployment & { readonly server: DeploymentServer };
let messaging: MessagingLoad;

beforeAll(async () => {
  process.stdout.write(`seed ${seed} (repeat with SEED=${seed})\n`);
  stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-faults-'));
  stack = await startStack({ stateDir, ports: 'free', services: 'data' });
  const { TEMPORAL_ADDRESS: address = '', TEMPORAL_NAMESPACE: namespace = 'default' } = stack.env;
  const services = { adminUrl: stack.adminDatabaseUrl, temporal: { address, namespace } };
  const opened = await openDeployment(services, { server: true, settings: patient });
  if (!opened.server) throw new Error('There is no server');
  deployment = { ...opened, server: opened.server };
  messaging = await openMessagingLoad(deployment, 'team');
});
afterAll(async () => {
  await messaging?.close();
  await deployment?.close();
  await stack?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

describe('messages, broadcasts, topics and roles under load', () => {
  it(
    'no message is lost or delivered after its ack when the server and the worker are killed at random',
    { timeout: 400_000 },
    async () => {
      const load = await messaging.start(random);
      let kills = 0;
      while (load.accepted() < 5_000 || kills < 8) {
        await delay(1_000 + random() * 3_000);
        const victim = random() < 0.6 ? deployment.server.process : deployment.workers[0];
        await victim?.waitReady();
        victim?.signal('SIGKILL');
        kills += 1;
      }
      await Promise.all([deployment.server.process.waitReady(), deployment.workers[0]?.waitReady()]);
      const recoveryMs = await load.finish(drainedWithinMs);
      await deployment.settle();
      expect(await messaging.check()).toEqual([]);
      printRecovery('mail.killed', [recoveryMs], { seed, kills, requests: load.requests(), ...messaging.figures() });
      expect(load.requests()).toBeGreaterThan(0);
      expect(messaging.figures()).toMatchObject({ lost: 0, afterAck: 0 });
    },
  );

  it(
    "no message is lost or delivered after its ack when PostgreSQL's postmaster is killed",
    { timeout: 400_000 },
    async () => {
      const recoveriesMs: number[] = [];
      for (let kill = 0; kill < 3; kill += 1) {
        const load = await messaging.start(random);
        await waitFor('the load to run', () => load.accepted() > 500, { timeoutMs: 60_000 });
        const pid = stack.signal('postgres', 'SIGKILL');
        expect(pid).toBeGreaterThan(0);
        await waitFor('PostgreSQL to be restarted', () => {
          const status = stack.processes().find((process) => process.name === 'postgres');
          return status !== undefined && status.pid > 0 && status.pid !== pid;
        });
        await stack.waitReady('postgres');
        const before = load.accepted();
        await waitFor('messages to be accepted again', () => load.accepted() > before, { timeoutMs: 60_000 });
        recoveriesMs.push(await load.finish(drainedWithinMs));
        await deployment.settle();
        expect(await messaging.check()).toEqual([]);
      }
      printRecovery('mail.postgres', recoveriesMs, { seed, ...messaging.figures() });
      expect(messaging.figures()).toMatchObject({ lost: 0, afterAck: 0 });
    },
  );
});
