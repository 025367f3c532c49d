import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  closeAccount,
  findAccount,
  quotasOf,
  releaseAllocation,
  setQuotas,
  setWeight,
  allocate,
  pruneQuotas,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { cluster, granted, pool, request, times } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.resources;
});
afterAll(() => stores?.drop());

describe('a quota', () => {
  it("a quota limits a cluster's allocations over all pools, also concurrently", async () => {
    const [clusterId, a, b] = [await cluster(db), await pool(db, { tokens: 100 }), await pool(db, { tokens: 100 })];
    expect(await setQuotas(db, clusterId, { tokens: 10 })).toEqual([{ resource: 'tokens', quota: 10, held: 0 }]);
    const answers = await Promise.all(times(20, (n) => allocate(db, request(clusterId, n % 2 ? a : b, 3))));
    expect(answers.filter(({ state }) => state === 'granted')).toHaveLength(3);
    expect(answers.find(({ state }) => state === 'short')).toMatchObject({
      what: [{ asked: 3, free: 1, by: 'quota' }],
    });
    expect(await quotasOf(db, clusterId)).toEqual([{ resource: 'tokens', quota: 10, held: 9 }]);
    const both = [a, b].map((name) => ({ pool: name, resource: 'tokens', amount: 0.6 }));
    expect((await allocate(db, request(clusterId, a, 1, { amounts: both }))).state).toBe('short');
  });

  it('a quota cannot be below the held amount, is removed when not named, and does not limit other clusters', async () => {
    const [clusterId, other, name] = [await cluster(db), await cluster(db), await pool(db, { tokens: 100 })];
    await granted(db, request(clusterId, name, 5));
    await setQuotas(db, clusterId, { tokens: 5, usd: 1 });
    await expect(setQuotas(db, clusterId, { tokens: 4.999 })).rejects.toMatchObject({
      code: 'state_conflict',
      message: expect.stringContaining('tokens would be 4.999, but 5 is held') as string,
    });
    expect(await quotasOf(db, clusterId)).toEqual([
      { resource: 'tokens', quota: 5, held: 5 },
      { resource: 'usd', quota: 1, held: 0 },
    ]);
    await granted(db, request(other, name, 50));
    expect(await setQuotas(db, clusterId, {})).toEqual([{ resource: 'tokens', quota: null, held: 5 }]);
    await granted(db, request(clusterId, name, 40));
    await releaseAllocation(db, { clusterId });
    expect(await quotasOf(db, clusterId)).toEqual([]);
  });

  it.each([-1, NaN, 2e12])('a quota of %d is refused', async (amount) => {
    await expect(setQuotas(db, 'cl', { tokens: amount })).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

it('rows of a cluster are deleted in chunks once its account is closed and it holds nothing', async () => {
  const amounts = ['a', 'b', 'c'].map((resource) => ({ resource, amount: 1 }));
  const name = await pool(db, { a: 9, b: 9, c: 9 });
  const [gone, open] = [await cluster(db), await cluster(db)];
  const kept = async () => {
    const { rows } = await sql<{ clusterId: string; resource: string }>`
      select cluster_id as "clusterId", resource from quotas where cluster_id in (${gone}, ${open}) order by 2, 1
    `.execute(db);
    return rows.map(({ clusterId, resource }) => `${clusterId === gone ? 'gone' : 'open'} ${resource}`);
  };
  const wanted = amounts.map((one) => ({ pool: name, ...one }));
  const held = await granted(db, request(gone, name, 1, { amounts: wanted }));
  await granted(db, request(open, name, 1, { amounts: wanted }));
  await releaseAllocation(db, { clusterId: open });
  await setQuotas(db, gone, { b: 5, d: 5 });
  expect(await pruneQuotas(db, { limit: 10 })).toBe(0);

  await closeAccount(db, gone);
  await releaseAllocation(db, { allocationIds: held.filter(({ resource }) => resource !== 'c').map(({ id }) => id) });
  expect([await pruneQuotas(db, { limit: 2 }), await pruneQuotas(db, { limit: 2 })]).toEqual([2, 1]);
  expect(await kept()).toEqual(['open a', 'open b', 'gone c', 'open c']);
  await releaseAllocation(db, { clusterId: gone });
  expect(await pruneQuotas(db, { limit: 2 })).toBe(1);
  expect(await kept()).toEqual(['open a', 'open b', 'open c']);
});

it("an open account's weight can be set, and that of a closed or missing one is refused", async () => {
  const clusterId = await cluster(db);
  await setWeight(db, clusterId, 2.5);
  expect(await findAccount(db, clusterId)).toEqual({ state: 'open', weight: 2.5 });
  for (const weight of [0, -1, NaN]) {
    await expect(setWeight(db, clusterId, weight)).rejects.toMatchObject({ code: 'invalid_request' });
  }
  await closeAccount(db, clusterId);
  await expect(setWeight(db, clusterId, 3)).rejects.toMatchObject({ code: 'state_conflict' });
  expect(await findAccount(db, clusterId)).toEqual({ state: 'closed', weight: 2.5 });
  await expect(setWeight(db, 'cl-none', 3)).rejects.toMatchObject({ code: 'not_found' });
});
