import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startManager, type TestManager } from './manager.js';

const exec = promisify(execFile);
const root = fileURLToPath(new URL('../../', import.meta.url));
const example = (name: string, args: readonly string[], env: Readonly<Record<string, string>>, timeoutMs: number) => {
  const { PATH = '', HOME = '', TEMPORAL_CLI_PATH = '', CLUSTER_MANAGER_CACHE = '', XDG_CACHE_HOME = '' } = process.env;
  return exec(process.execPath, ['--import', 'tsx', join(root, 'examples', name), ...args], {
    cwd: root,
    env: { PATH, HOME, TEMPORAL_CLI_PATH, CLUSTER_MANAGER_CACHE, XDG_CACHE_HOME, ...env },
    timeout: timeoutMs,
  });
};

describe('the TypeScript example', () => {
  let manager: TestManager;
  beforeAll(async () => {
    manager = await startManager();
  });
  afterAll(() => manager?.stop());

  it('01-form-a-cluster forms a cluster, and each member prints the member list', async () => {
    const env = {
      CLUSTER_MANAGER_URL: manager.url,
      CLUSTER_MANAGER_ENROLMENT_TOKEN: manager.enrolmentToken,
      ...manager.env,
    };
    const { stdout } = await example('01-form-a-cluster.ts', [manager.id], env, 60_000);
    const [formed, ...joined] = stdout.trim().split('\n');
    expect(formed).toMatch(/^formed cl_\S+, epoch 1, coordinator \S+$/);
    const list = 'translators: reviewer-1, translator-1, translator-2';
    expect(joined.sort()).toEqual(['reviewer-1', 'translator-1', 'translator-2'].map((id) => `${id} joined ${list}`));
  }, 60_000);
});

describe('npm run demo', () => {
  it('recovers after each kill, loses no message, prints at most 64 lines and leaves no process', async () => {
    const home = mkdtempSync(join(tmpdir(), 'cluster-manager-demo-'));
    try {
      const { stdout } = await example('demo.ts', ['--json'], { CLUSTER_MANAGER_HOME: home }, 230_000);
      const lines = stdout.trimEnd().split('\n');
      const figures = JSON.parse(lines.at(-1) ?? '') as Record<string, unknown>;
      expect(figures).toMatchObject({
        ok: true,
        formed: 2,
        recoveredAfterKill: true,
        membersTold: 10,
        receipt: { state: 'met', matched: 5, acked: 5 },
        messages: { lost: 0, afterAck: 0 },
        processesLeft: 0,
      });
      const { accepted, deliveries, acked } = figures['messages'] as Record<string, number>;
      expect(accepted).toBeGreaterThan(300);
      expect(deliveries).toBeGreaterThan(accepted ?? 0);
      expect(acked).toBe(deliveries);
      expect(figures['seconds']).toBeGreaterThan(0);
      expect(lines.length).toBeLessThanOrEqual(64);
      expect(figures['scaling']).toEqual({ grownTo: 5, shrunkTo: 4, granted: true });
      expect(stdout.match(/\/workflows\/scaling%2Fop_/g)).toHaveLength(2);
      expect(stdout).toContain('Grows from 3 to 5 members: usage of slots 0.95');
      expect(stdout.match(/\/workflows\/formation%2Fop_/g)).toHaveLength(2);
      expect(stdout.match(/\/workflows\/communication%2Fop_/g)).toHaveLength(2);
      const pids = [...stdout.matchAll(/\b(?:ada|bo|cy|dee|eli|temporal|postgres|server|worker-1) (\d+)/g)];
      expect(pids).toHaveLength(9);
      expect(pids.map(([, pid]) => Number(pid)).filter(isAlive)).toEqual([]);
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  }, 240_000);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
