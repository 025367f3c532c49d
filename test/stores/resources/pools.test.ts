import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  findPool,
  listPools,
  putPool,
  releaseAllocation,
  removePool,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { cluster, fresh, granted, pool, request } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases();
  db = stores.resources;
});
afterAll(() => stores?.drop());

describe('a pool', () => {
  it("putPool replaces a pool's labels and capacities", async () => {
    const name = fresh('pool');
    await putPool(db, { name, capacity: { tokens: 100, calls: 7.25 }, labels: { provider: 'x' } });
    expect(await findPool(db, name)).toMatchObject({
      name,
      labels: { provider: 'x' },
      resources: { tokens: { capacity: 100, used: 0 }, calls: { capacity: 7.25, used: 0 } },
    });
    const again = await putPool(db, { name, capacity: { tokens: 50 } });
    expect(again).toMatchObject({ labels: {}, resources: { tokens: { capacity: 50, used: 0 } } });
    expect(Object.keys(again.resources)).toEqual(['tokens']);
  });

  it('a pool cannot shrink below its held amount, and the refusal names the holders', async () => {
    const [name, clusterId] = [await pool(db, { tokens: 10 }), await cluster(db)];
    const [grant] = await granted(db, request(clusterId, name, 6));
    for (const capacity of [{ tokens: 5.999 }, {}] as Record<string, number>[]) {
      await expect(putPool(db, { name, capacity })).rejects.toMatchObject({
        code: 'state_conflict',
        message: expect.stringMatching(`6 is held by the grants ${grant?.id} of ${clusterId} \\(6\\)`) as string,
      });
    }
    expect((await findPool(db, name))?.resources).toEqual({ tokens: { capacity: 10, used: 6 } });
    expect((await putPool(db, { name, capacity: { tokens: 6 } })).resources).toEqual({
      tokens: { capacity: 6, used: 6 },
    });
  });

  it('a pool is deleted once, and only when nothing of it is held', async () => {
    const [name, clusterId] = [await pool(db, { tokens: 10 }), await cluster(db)];
    await granted(db, request(clusterId, name, 6));
    await expect(removePool(db, name)).rejects.toMatchObject({ code: 'state_conflict' });
    await releaseAllocation(db, { clusterId });
    await removePool(db, name);
    expect(await findPool(db, name)).toBeUndefined();
    await expect(removePool(db, name)).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each([-1, NaN, Infinity, 1e12 + 1])('a pool capacity of %d is refused, also by the table', async (amount) => {
    const name = fresh('pool');
    await expect(putPool(db, { name, capacity: { tokens: amount } })).rejects.toMatchObject({
      code: 'invalid_request',
    });
    expect(await findPool(db, name)).toBeUndefined();
    const other = await pool(db, { tokens: 1 });
    await expect(
      sql`update pool_capacities set capacity = ${String(amount)}::numeric where pool = ${other}`.execute(db),
    ).rejects.toThrow(/violates check|overflow/);
  });
});

it('pools are listed by name, page by page', async () => {
  const prefix = fresh('paged');
  for (const letter of ['b', 'a', 'c']) await putPool(db, { name: `${prefix}-${letter}`, capacity: {} });
  const first = await listPools(db, { after: prefix, limit: 2 });
  expect(first.map(({ name }) => name)).toEqual([`${prefix}-a`, `${prefix}-b`]);
  const next = await listPools(db, { after: first[1]?.name ?? '', limit: 1 });
  expect(next.map(({ name }) => name)).toEqual([`${prefix}-c`]);
});
