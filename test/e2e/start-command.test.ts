import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, inject, it } from 'vitest';
import { createTestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';
import { cli, run } from './command-line.js';

const clean: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of clean.splice(0).reverse()) await undo();
});

async function environment(): Promise<Record<string, string>> {
  const databases = await createTestDatabases({ maxConnections: 1 });
  clean.push(() => databases.drop());
  const home = mkdtempSync(join(tmpdir(), 'cluster-manager-start-'));
  clean.push(() => rmSync(home, { recursive: true, force: true }));
  const temporal = inject('temporal');
  return {
    CLUSTER_MANAGER_HOME: home,
    TEMPORAL_ADDRESS: temporal.address,
    TEMPORAL_NAMESPACE: temporal.namespace,
    CLUSTERS_DATABASE_URL: databases.urls.clusters,
    COMMUNICATION_DATABASE_URL: databases.urls.communication,
    RESOURCES_DATABASE_URL: databases.urls.resources,
  };
}

/** A port that was free a moment ago, and stays in use while `held` is not closed. */
async function port(held: boolean): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  if (held) clean.push(() => server.close());
  else {
    server.close();
    await once(server, 'close');
  }
  return address.port;
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

describe('cluster-manager start', () => {
  it('prints its URL and its secrets file, serves until Ctrl-C, refuses a second start, and leaves no process', async () => {
    const env = await environment();
    const apiPort = await port(false);
    const child: ChildProcess = spawn(process.execPath, [cli, 'start', '--port', String(apiPort)], {
      env: { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '', ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    clean.push(() => child.kill('SIGKILL'));
    let said = '';
    child.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await waitFor('the stack to be ready', () => said.includes('ctrl-C stops everything'), { timeoutMs: 60_000 });

    const secrets = join(env['CLUSTER_MANAGER_HOME'] ?? '', 'secrets.json');
    expect(said).toContain(`http://127.0.0.1:${apiPort}`);
    expect(said).toContain('secrets.json');
    expect(said).not.toContain('cmt_');
    expect(statSync(secrets).mode & 0o777).toBe(0o600);
    expect((await run(['status'], env)).code).toBe(0);

    const second = await run(['start', '--port', String(apiPort + 1), '--json'], env);
    expect(second.code).toBe(78);
    expect(second.stderr).toContain(String(child.pid));

    const records = readFileSync(join(env['CLUSTER_MANAGER_HOME'] ?? '', 'children.json'), 'utf8');
    const children = [...records.matchAll(/"pid":\s*(\d+)/g)].map(([, pid]) => Number(pid));
    expect(children.length).toBeGreaterThanOrEqual(2);
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    expect(await ended).toEqual([0, null]);
    expect(said).toMatch(/Stopping\.\n[^]*Stopped\.\n$/);
    expect([...children, child.pid ?? 0].filter(isAlive)).toEqual([]);
    expect((await run(['status'], env)).code).toBe(69);
  });

  it('refuses a port that another program uses, and names the port', async () => {
    const env = await environment();
    const busy = await port(true);
    const refused = await run(['start', '--port', String(busy)], env);
    expect(refused.code).toBe(78);
    expect(refused.stderr).toContain(`Port ${busy}`);
  });
});
