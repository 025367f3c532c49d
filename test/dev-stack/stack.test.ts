import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { identityOf, isRunning } from '../../src/dev-stack/processes/process-identity.js';
import type { ProcessIdentity } from '../../src/dev-stack/processes/process-identity.js';
import { readRunningStack } from '../../src/dev-stack/state/running-stack.js';
import { startStack } from '../../src/dev-stack/stack.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { temporalServerVersion } from '../../src/dev-stack/temporal/probe.js';
import { collector, refusalOf } from './support.js';

const stateDir = mkdtempSync(join(tmpdir(), 'cluster-manager-test-'));
const { events, report } = collector();
let stack: Stack;

const query = async (url: string | undefined, sql: string): Promise<readonly Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
};

beforeAll(async () => {
  stack = await startStack({ stateDir, ports: 'free', services: 'data', report });
});

afterAll(async () => {
  await stack?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

describe('the databases of a stack', () => {
  const databases = {
    CLUSTERS_DATABASE_URL: 'clusters_db',
    COMMUNICATION_DATABASE_URL: 'communication_db',
    RESOURCES_DATABASE_URL: 'resources_db',
  } as const;

  it.each(Object.entries(databases))(
    '%s: its role can connect and create tables, and is no superuser',
    async (name, database) => {
      const [row] = await query(
        stack.env[name],
        'select current_user as role, current_database() as database, rolsuper or rolcreatedb or rolcreaterole as power from pg_roles where rolname = current_user',
      );
      expect(row).toEqual({ role: database, database, power: false });
      await query(stack.env[name], 'create table probe (n int); drop table probe');
    },
  );

  it.each(Object.keys(databases))('%s: its role can connect to no other database', async (name) => {
    const own = new URL(stack.env[name] ?? '');
    const others = ['clusters_db', 'communication_db', 'resources_db', 'postgres', 'template1'].filter(
      (database) => `/${database}` !== own.pathname,
    );
    expect(others).toHaveLength(4);
    for (const database of others) {
      const url = new URL(own);
      url.pathname = `/${database}`;
      await expect(query(url.href, 'select 1'), database).rejects.toMatchObject({ code: '42501' });
    }
  });

  it('a wrong password is refused', async () => {
    const url = new URL(stack.env['CLUSTERS_DATABASE_URL'] ?? '');
    url.password = 'guess';
    await expect(query(url.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  it('committed rows survive a kill of the server', async () => {
    const url = stack.env['CLUSTERS_DATABASE_URL'];
    await query(url, 'create table kept (n int)');
    await query(url, 'insert into kept values (7)');
    const pid = stack.signal('postgres', 'SIGKILL');
    expect(pid).toBeGreaterThan(0);
    await stack.waitReady('postgres');
    const status = stack.processes().find(({ name }) => name === 'postgres');
    expect(status?.restarts).toBeGreaterThanOrEqual(1);
    expect(status?.pid).not.toBe(pid);
    expect(await query(url, 'select n from kept')).toEqual([{ n: 7 }]);
    expect(events.some(({ message }) => message.startsWith('was ended by SIGKILL'))).toBe(true);
  });
});

describe('the Temporal server of a stack', () => {
  it('answers again at the same address after a kill', async () => {
    const address = stack.env['TEMPORAL_ADDRESS'] ?? '';
    const before = await temporalServerVersion(address);
    stack.signal('temporal', 'SIGKILL');
    await stack.waitReady('temporal');
    expect(await temporalServerVersion(address)).toBe(before);
  });

  it('shows its UI', async () => {
    const response = await fetch(stack.urls.temporalUi ?? '');
    expect(response.status).toBe(200);
    expect(await response.text()).toContain('/_app/');
  });

  it('listens on loopback only', async () => {
    const port = Number(stack.env['TEMPORAL_ADDRESS']?.split(':')[1]);
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    const listening = ['/proc/net/tcp', '/proc/net/tcp6']
      .flatMap((file) => readFileSync(file, 'utf8').split('\n'))
      .map((line) => line.trim().split(/\s+/))
      .filter(([, local, , state]) => state === '0A' && local?.endsWith(`:${hex}`));
    expect(listening.map(([, local]) => local)).toEqual([`0100007F:${hex}`]);
  });
});

describe('the secrets of a stack', () => {
  it('are in no command line', () => {
    const secrets = readFileSync(join(stateDir, 'secrets.json'), 'utf8').match(/[\w-]{40,}/g) ?? [];
    expect(secrets.length).toBeGreaterThanOrEqual(6);
    for (const { pid } of stack.processes()) {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      for (const secret of secrets) expect(line).not.toContain(secret);
    }
  });

  it('are in no log', () => {
    const secrets = readFileSync(join(stateDir, 'secrets.json'), 'utf8').match(/[\w-]{40,}/g) ?? [];
    const logs = readdirSync(join(stateDir, 'logs')).map((name) => readFileSync(join(stateDir, 'logs', name), 'utf8'));
    for (const secret of secrets) for (const log of logs) expect(log).not.toContain(secret);
  });

  it('are readable by their owner only, like the state folder', () => {
    const modeOf = (name: string): string => (statSync(join(stateDir, name)).mode & 0o777).toString(8);
    expect(modeOf('.')).toBe('700');
    expect(modeOf('postgres')).toBe('700');
    for (const name of ['secrets.json', 'stack.json', 'owner.json', 'children.json']) expect(modeOf(name)).toBe('600');
  });
});

describe('a running stack', () => {
  it('refuses a second stack on its state folder, with its own pid in the message', async () => {
    const refusal = await refusalOf(startStack({ stateDir, ports: 'free', services: 'data' }));
    expect(refusal.code).toBe('state_folder_busy');
    expect(refusal.message).toContain(`pid ${process.pid}`);
    expect(await query(stack.env['CLUSTERS_DATABASE_URL'], 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('is found by a command in another terminal', () => {
    const running = readRunningStack(stateDir);
    expect(running).toMatchObject({ pid: process.pid, urls: stack.urls, env: stack.env });
  });

  it('leaves no process after stop, and starts again on the same data', async () => {
    const children = stack
      .processes()
      .map(({ pid }) => identityOf(pid))
      .filter((one): one is ProcessIdentity => !!one);
    expect(children).toHaveLength(2);
    await stack.stop();
    expect(children.filter(isRunning)).toEqual([]);
    expect(readRunningStack(stateDir)).toBeUndefined();
    await expect(
      new Promise((resolve, reject) => {
        const session = connect(`http://${stack.env['TEMPORAL_ADDRESS']}`);
        session.once('connect', resolve).once('error', reject);
      }),
    ).rejects.toThrow('ECONNREFUSED');
    stack = await startStack({ stateDir, ports: 'free', services: 'data', report });
    expect(await query(stack.env['CLUSTERS_DATABASE_URL'], 'select n from kept')).toEqual([{ n: 7 }]);
  });

  it('refuses to signal a process that it does not run', async () => {
    expect(() => stack.signal('worker-9', 'SIGKILL')).toThrow('no process worker-9; it has');
  });
});
