import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { saveHeartbeats } from '../../src/stores/clusters/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';

let stores: TestDatabases;

beforeAll(async () => {
  stores = await createTestDatabases();
});
afterAll(() => stores.drop());

it('a heartbeat renews a lease after waiting for a concurrent change of the same agent', async () => {
  const ids = await addAgents(stores.clusters, 2, {}, 'busy');
  const other = new pg.Client({ connectionString: stores.urls.clusters });
  await other.connect();
  await other.query('begin');
  await other.query("update agents set cluster_count = 1 where id = 'busy-0'");
  const saving = saveHeartbeats(stores.clusters, new Map(ids.map((id) => [id, { load: 0.5 }])), 30);
  await waitFor('the heartbeats to wait for the lock', async () => {
    const { rows } = await other.query<{ waiting: boolean }>(
      "select exists (select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock') as waiting",
    );
    return rows[0]?.waiting;
  });
  await other.query('commit');
  await other.end();
  expect([...(await saving).keys()].sort()).toEqual(ids);
});
