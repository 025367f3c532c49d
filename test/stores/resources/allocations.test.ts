import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  closeAccount,
  expireAllocations,
  extendAllocations,
  findPool,
  allocationsOf,
  ledgerDifferences,
  listLedger,
  releaseAllocation,
  allocate,
  pruneAllocations,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { cluster, granted, lapse, pool, request, times } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.resources;
});
afterAll(async () => {
  expect(await ledgerDifferences(db)).toEqual([]);
  await stores?.drop();
});

const usedOf = async (name: string) => (await findPool(db, name))?.resources['tokens']?.used;
const stateOf = async (id: number) =>
  (await sql<{ state: string }>`select state from allocations where id = ${id}`.execute(db)).rows[0]?.state;

describe('allocate', () => {
  it('allocate grants all requested amounts', async () => {
    const [clusterId, a, b] = [
      await cluster(db),
      await pool(db, { tokens: 10 }),
      await pool(db, { tokens: 5, usd: 1 }),
    ];
    const grants = await granted(
      db,
      request(clusterId, a, 4, {
        amounts: [
          { pool: b, resource: 'usd', amount: 0.125 },
          { pool: a, resource: 'tokens', amount: 4 },
        ],
      }),
    );
    expect(grants).toMatchObject([
      { pool: a, resource: 'tokens', amount: 4, state: 'held' },
      { pool: b, resource: 'usd', amount: 0.125, state: 'held' },
    ]);
    expect(await usedOf(a)).toBe(4);
    expect(await allocationsOf(db, clusterId, { limit: 10 })).toEqual(grants);
    expect(await allocationsOf(db, clusterId, { after: grants[0]?.id ?? 0, limit: 10 })).toEqual(grants.slice(1));
    expect(await listLedger(db, { clusterId, limit: 10 })).toMatchObject([
      { pool: b, delta: 0.125, reason: 'taken' },
      { pool: a, delta: 4, reason: 'taken' },
    ]);
  });

  it('allocate takes nothing when one amount does not fit, and names it', async () => {
    const [clusterId, a, b] = [await cluster(db), await pool(db, { tokens: 10 }), await pool(db, { tokens: 5 })];
    const amounts = [
      { pool: a, resource: 'tokens', amount: 4 },
      { pool: b, resource: 'tokens', amount: 5.001 },
    ];
    expect(await allocate(db, request(clusterId, a, 0, { amounts }))).toEqual({
      state: 'short',
      what: [{ pool: b, resource: 'tokens', asked: 5.001, free: 5, by: 'capacity' }],
    });
    expect([await usedOf(a), await usedOf(b)]).toEqual([0, 0]);
  });

  it('concurrent identical allocation requests get the same answer and allocate once', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
    const wanted = request(clusterId, name, 3);
    const answers = await Promise.all(times(20, () => allocate(db, wanted)));
    for (const answer of answers) expect(answer).toEqual(answers[0]);
    expect(await usedOf(name)).toBe(3);
    // Shortages are answers, too: a late attempt must not take what its caller was told it did not get.
    const tooMuch = request(clusterId, name, 8);
    const short = await allocate(db, tooMuch);
    await releaseAllocation(db, { clusterId });
    expect(await allocate(db, tooMuch)).toEqual(short);
    expect(short.state).toBe('short');
    expect(await usedOf(name)).toBe(0);
  });

  it('a repeated allocation request may list its amounts in another order, and is a conflict with other content', async () => {
    const [clusterId, a, b] = [await cluster(db), await pool(db, { tokens: 10 }), await pool(db, { tokens: 10 })];
    const amounts = [
      { pool: a, resource: 'tokens', amount: 1 },
      { pool: b, resource: 'tokens', amount: 2 },
    ];
    const wanted = request(clusterId, a, 1, { amounts });
    const answer = await allocate(db, wanted);
    expect(await allocate(db, { ...wanted, amounts: [...amounts].reverse() })).toEqual(answer);
    for (const other of [{ amounts: amounts.slice(1) }, { operationId: 'op_2' }, { clusterId: await cluster(db) }]) {
      await expect(allocate(db, { ...wanted, ...other })).rejects.toMatchObject({ code: 'idempotency_conflict' });
    }
    expect([await usedOf(a), await usedOf(b)]).toEqual([1, 2]);
  });

  it('allocate is refused for a closed or missing account and for a resource that no pool has', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
    const before = request(clusterId, name, 1);
    const answer = await allocate(db, before);
    const usd = { amounts: [{ pool: name, resource: 'usd', amount: 1 }] };
    const refused = request(clusterId, name, 1, usd);
    await expect(allocate(db, refused)).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('usd') as string,
    });
    await closeAccount(db, clusterId);
    await expect(allocate(db, request(clusterId, name, 1))).rejects.toMatchObject({ code: 'state_conflict' });
    await expect(allocate(db, request('cl-none', name, 1))).rejects.toMatchObject({ code: 'not_found' });
    expect(await allocate(db, before)).toEqual(answer);
    expect(await usedOf(name)).toBe(1);
  });

  it.each([0, -1, NaN, Infinity, 0.0004, 2e12])('an amount of %d is refused', async (amount) => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
    await expect(allocate(db, request(clusterId, name, amount))).rejects.toMatchObject({ code: 'invalid_request' });
    await granted(db, request(clusterId, name, 1));
    await expect(
      sql`update allocations set amount = ${String(amount)}::numeric where cluster_id = ${clusterId}`.execute(db),
    ).rejects.toThrow(/violates check|overflow/);
  });

  it('allocate refuses an empty list, a duplicate amount and a lease without end', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
    const one = { pool: name, resource: 'tokens', amount: 1 };
    for (const over of [{ amounts: [] }, { amounts: [one, one] }, { leaseSeconds: Infinity }, { leaseSeconds: 0 }]) {
      await expect(allocate(db, request(clusterId, name, 1, over))).rejects.toMatchObject({ code: 'invalid_request' });
    }
  });
});

describe('an allocation', () => {
  it('an allocation is returned to its pool once, however often it is released', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
    const [grant] = await granted(db, request(clusterId, name, 4));
    const id = grant?.id ?? 0;
    const ended = await Promise.all(times(10, () => releaseAllocation(db, { allocationIds: [id] })));
    expect(ended.flat()).toEqual([id]);
    expect(await usedOf(name)).toBe(0);
    expect(await releaseAllocation(db, { allocationIds: [id, 999_999_999] })).toEqual([]);
    expect(await extendAllocations(db, [id], 60)).toEqual([]);
  });

  it('allocations expire after their lease, in chunks, unless extended', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 100 })];
    const ids: number[] = [];
    for (let index = 0; index < 5; index += 1)
      ids.push(...(await granted(db, request(clusterId, name, 4))).map(({ id }) => id));
    await lapse(db, ids.slice(0, 4));
    expect(await extendAllocations(db, ids.slice(0, 1), 60)).toEqual(ids.slice(0, 1));
    expect(await expireAllocations(db, 2)).toHaveLength(2);
    expect(await expireAllocations(db, 2)).toHaveLength(1);
    expect(await expireAllocations(db, 2)).toEqual([]);
    expect(await Promise.all(ids.map(stateOf))).toEqual(['held', 'expired', 'expired', 'expired', 'held']);
    expect(await usedOf(name)).toBe(8);
    expect(await releaseAllocation(db, { allocationIds: ids })).toEqual([ids[0], ids[4]]);
  });

  it('an allocation that is released and expired concurrently ends in one state', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 100 })];
    const ids = (await Promise.all(times(20, () => granted(db, request(clusterId, name, 1)))))
      .flat()
      .map(({ id }) => id);
    await lapse(db, ids);
    const ended = await Promise.all([
      ...ids.map((id) => releaseAllocation(db, { allocationIds: [id] })),
      ...times(5, () => expireAllocations(db, 10)),
      releaseAllocation(db, { clusterId }),
    ]);
    expect(ended.flat().sort((a, b) => a - b)).toEqual(ids.sort((a, b) => a - b));
    expect(await usedOf(name)).toBe(0);
  });

  it('old allocations are deleted with their request when nothing is held, and the ledger keeps their entries', async () => {
    const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 100 })];
    const [kept] = await granted(db, request(clusterId, name, 1));
    const [gone] = await granted(db, request(clusterId, name, 2));
    await releaseAllocation(db, { allocationIds: [gone?.id ?? 0] });
    await sql`update allocation_requests set at = at - interval '1 hour' where cluster_id = ${clusterId}`.execute(db);
    expect(await pruneAllocations(db, { keepSeconds: 1800, limit: 100 })).toBe(1);
    expect(await stateOf(kept?.id ?? 0)).toBe('held');
    expect(await stateOf(gone?.id ?? 0)).toBeUndefined();
    expect(await listLedger(db, { clusterId, limit: 10 })).toHaveLength(3);
  });
});
