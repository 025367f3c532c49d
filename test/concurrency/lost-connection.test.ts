import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { openDatabase } from '../../src/stores/database.js';
import { openTcpProxy } from '../faults/tcp-proxy.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';

let stores: TestDatabases;
const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);

beforeAll(async () => {
  stores = await createTestDatabases();
  process.on('uncaughtException', note);
});
afterEach(() => {
  uncaught.length = 0;
});
afterAll(async () => {
  process.off('uncaughtException', note);
  await stores?.drop();
});

describe('a connection that PostgreSQL terminates inside a transaction', () => {
  it('a connection terminated inside a transaction fails only that transaction, and the next query succeeds', async () => {
    const transaction = stores.clusters.transaction().execute(async (tx) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx);
      const pid = rows[0]?.pid ?? 0;
      await sql`select pg_terminate_backend(${pid})`.execute(stores.clusters);
      await waitFor('the backend to be gone', async () => {
        const left = await sql`select 1 from pg_stat_activity where pid = ${pid}`.execute(stores.clusters);
        return left.rows.length === 0;
      });
      await sql`select 1`.execute(tx);
    });
    await expect(transaction).rejects.toThrow();
    expect(uncaught).toEqual([]);
    const { rows } = await sql<{ one: number }>`select 1 as one`.execute(stores.clusters);
    expect(rows).toEqual([{ one: 1 }]);
  });
});

describe('a connection that stops responding', () => {
  it('a statement on a silent connection fails after the statement timeout, and the next one uses another connection', async () => {
    const url = new URL(stores.urls.clusters);
    const proxy = await openTcpProxy({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    const db = openDatabase({ url: url.toString(), applicationName: 'test', statementTimeoutMs: 100 });
    try {
      await sql`select 1`.execute(db);
      expect(proxy.silence()).toBe(1);
      await expect(sql`select 2`.execute(db)).rejects.toThrow('timeout');
      const { rows } = await sql<{ three: number }>`select 3 as three`.execute(db);
      expect(rows).toEqual([{ three: 3 }]);
      expect(uncaught).toEqual([]);
    } finally {
      await db.destroy();
      await proxy.close();
    }
  });
});
