import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it } from 'vitest';
import { waitForService } from '../../src/stores/wait-for-service.js';
import { ManagerError } from '../../src/contracts/errors.js';
import { newToken } from '../../src/stores/clusters/index.js';
import { createLogger } from '../../src/telemetry/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';

const adminToken = newToken();
const enrolmentToken = newToken();
const managerId = `test-server-${process.pid}`;

let databases: TestDatabases;
let folder: string;
beforeAll(async () => {
  databases = await createTestDatabases();
  folder = mkdtempSync(join(tmpdir(), 'cluster-manager-server-'));
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  await databases.drop();
});

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

const settings = (formationInterval: number | string): string => {
  const path = join(folder, 'cluster-manager.yaml');
  const text = readFileSync('cluster-manager.yaml', 'utf8')
    .replace('id: "cluster-manager-1"', `id: "${managerId}"`)
    .replace('formation_interval: 300', `formation_interval: ${formationInterval}`);
  writeFileSync(path, text);
  return path;
};

interface Server {
  readonly child: ChildProcess;
  readonly url: () => string | undefined;
  readonly output: () => string;
  readonly exit: Promise<number | null>;
}

function start(env: Readonly<Record<string, string>> = {}): Server {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/server.ts'], {
    env: {
      PATH: process.env['PATH'] ?? '',
      CLUSTER_MANAGER_CONFIG: settings(300),
      CLUSTER_MANAGER_PORT: '0',
      CLUSTER_MANAGER_ADMIN_TOKEN: adminToken,
      CLUSTER_MANAGER_ENROLMENT_TOKEN: enrolmentToken,
      CLUSTERS_DATABASE_URL: databases.urls.clusters,
      COMMUNICATION_DATABASE_URL: databases.urls.communication,
      RESOURCES_DATABASE_URL: databases.urls.resources,
      TEMPORAL_ADDRESS: inject('temporal').address,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.push(child);
  let output = '';
  child.stdout.on('data', (chunk) => (output += String(chunk)));
  child.stderr.on('data', (chunk) => (output += String(chunk)));
  return {
    child,
    output: () => output,
    url: () => /"url":"([^"]+)"/.exec(output)?.[1],
    exit: new Promise((resolve) => child.once('exit', resolve)),
  };
}

const ready = (server: Server): Promise<string> =>
  waitFor(`the server to listen; it said:\n${server.output()}`, () => server.url());

describe('the server', () => {
  it('registers itself, stores the first tokens, creates the Schedules, and stops cleanly on SIGTERM', async () => {
    const server = start();
    const url = await ready(server);
    const headers = { authorization: `Bearer ${adminToken}` };
    expect((await fetch(`${url}/readyz`)).status).toBe(200);
    const { events } = (await (await fetch(`${url}/v1/events`, { headers })).json()) as {
      events: { type: string; data: { capabilities: string[] } }[];
    };
    expect(events.map(({ type, data }) => [type, data.capabilities])).toEqual([
      ['manager.registered', ['cluster_management', 'communication_management', 'scaling']],
    ]);
    const enrolled = await fetch(`${url}/v1/agents`, {
      method: 'POST',
      headers: { authorization: `Bearer ${enrolmentToken}`, 'content-type': 'application/json' },
      body: '{"id":"s1"}',
    });
    expect(enrolled.status).toBe(201);
    const { token } = (await enrolled.json()) as { token: string };
    expect(await everySeconds()).toEqual([300]);

    const polled = fetch(`${url}/v1/agents/s1/inbox?waitSeconds=60`, { headers: { authorization: `Bearer ${token}` } });
    await waitFor('the server to register itself', async () => (await servers()) === 1);
    server.child.kill('SIGTERM');
    const answer = await polled;
    expect([answer.status, await answer.json()]).toEqual([200, { deliveries: [] }]);
    expect(await server.exit).toBe(0);
    expect(await servers()).toBe(0);
    expect(server.output()).not.toContain(token);
    await expect(fetch(`${url}/livez`)).rejects.toThrow();
  });

  it('reads its settings again on SIGHUP and by the API: the Schedules follow, an invalid file changes nothing', async () => {
    const server = start();
    const url = await ready(server);
    const apply = () =>
      fetch(`${url}/v1/config/apply`, { method: 'POST', headers: { authorization: `Bearer ${adminToken}` } });
    settings(66);
    expect(await (await apply()).json()).toMatchObject({ needRestart: [] });
    expect(await everySeconds()).toEqual([66]);
    settings(77);
    server.child.kill('SIGHUP');
    await waitFor('the Schedule to change', async () => (await everySeconds())[0] === 77);
    settings('"often"');
    expect(await (await apply()).json()).toMatchObject({ status: 422, code: 'invalid_configuration' });
    server.child.kill('SIGHUP');
    await waitFor('the refusal to be logged', () => server.output().includes('the configuration was not reloaded'));
    expect(await everySeconds()).toEqual([77]);
    server.child.kill('SIGINT');
    expect(await server.exit).toBe(0);
  });

  it('names the port that is in use and exits with 78', async () => {
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve));
    const { port } = busy.address() as AddressInfo;
    const server = start({ CLUSTER_MANAGER_PORT: String(port) });
    expect(await server.exit).toBe(78);
    expect(server.output()).toMatch(new RegExp(`port_busy: Port ${port} on 127.0.0.1 is in use`));
    busy.close();
    expect(await servers()).toBe(0);
  });

  it('names the problems of its configuration and exits with 78', async () => {
    const server = start({ CLUSTER_MANAGER_HOST: '0.0.0.0' });
    expect(await server.exit).toBe(78);
    expect(server.output()).toMatch(/^invalid_configuration: /);
  });

  it('logs that it waits for services that cannot be reached, and stops waiting on a signal', async () => {
    const server = start({ TEMPORAL_ADDRESS: '127.0.0.1:9' });
    await waitFor('the wait to be logged', () => server.output().includes('waiting for a service'), {
      timeoutMs: 25_000,
    });
    expect(server.output()).toContain('Temporal at 127.0.0.1:9');
    server.child.kill('SIGTERM');
    expect(await server.exit).toBe(0);
  });

  const servers = async (): Promise<number> =>
    (await sql<{ n: number }>`select count(*) as n from servers`.execute(databases.clusters)).rows[0]?.n ?? 0;

  async function everySeconds(): Promise<number[]> {
    const { address, namespace } = inject('temporal');
    const connection = await Connection.connect({ address });
    const { spec } = await new Client({ connection, namespace }).schedule
      .getHandle(`${managerId}/formation-interval`)
      .describe();
    await connection.close();
    return (spec.intervals ?? []).map(({ every }) => Number(every) / 1000);
  }
});

describe('waiting for a service', () => {
  const logger = createLogger('test', 'silent');
  const { signal } = new AbortController();

  it('continues when the service can be reached', async () => {
    let tries = 0;
    const value = await waitForService(
      'a thing',
      () => {
        tries += 1;
        return tries < 3 ? Promise.reject(new ManagerError('service_unavailable', 'not yet')) : Promise.resolve('here');
      },
      { logger, limitMs: 10_000, signal },
    );
    expect([value, tries]).toEqual(['here', 3]);
  });

  it('stops at the limit, and at once on an error that waiting cannot fix', async () => {
    const failing = (code: 'service_unavailable' | 'incompatible_service', limitMs: number) =>
      waitForService('a thing', () => Promise.reject(new ManagerError(code, code)), { logger, limitMs, signal });
    await expect(failing('service_unavailable', 300)).rejects.toThrow('service_unavailable');
    await expect(failing('incompatible_service', 60_000)).rejects.toThrow('incompatible_service');
  });
});
