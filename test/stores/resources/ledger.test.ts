import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  ledgerDifferences,
  listLedger,
  releaseAllocation,
  pruneLedger,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { cluster, granted, pool, request } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases();
  db = stores.resources;
});
afterAll(() => stores?.drop());

it('ledger entries are listed newest first, page by page', async () => {
  const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
  await granted(db, request(clusterId, name, 4));
  await granted(db, request(clusterId, name, 2));
  await releaseAllocation(db, { clusterId });
  const first = await listLedger(db, { pool: name, limit: 3 });
  expect(first.map(({ delta }) => delta).reduce((sum, delta) => sum + delta, 0)).toBe(-4);
  expect(await listLedger(db, { pool: name, after: first[2]?.no ?? 0, limit: 3 })).toMatchObject([
    { delta: 4, reason: 'taken' },
  ]);
});

it.each([
  ['update of an entry of the allocation ledger', sql`update allocation_ledger set delta = 0`],
  ['delete from the allocation ledger', sql`delete from allocation_ledger`],
  ['truncate of the allocation ledger', sql`truncate allocation_ledger`],
  ['update of an entry of the budget ledger', sql`update budget_ledger set reserved = 0`],
])('the database refuses the %s', async (_what, statement) => {
  await expect(statement.execute(db)).rejects.toThrow(/never changed or deleted/);
});

it('ledger entries of ended allocations are deleted in chunks after retention, those of held ones stay, and the sums do not change', async () => {
  const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
  while ((await pruneLedger(db, { keepSeconds: -60, limit: 100 })) > 0);
  for (const amount of [1, 2, 3]) {
    const [grant] = await granted(db, request(clusterId, name, amount));
    await releaseAllocation(db, { allocationIds: [grant?.id ?? 0] });
  }
  await granted(db, request(clusterId, name, 4));
  expect(await pruneLedger(db, { keepSeconds: 3600, limit: 2 })).toBe(0);
  expect(await pruneLedger(db, { keepSeconds: -60, limit: 2 })).toBe(2);
  expect(await ledgerDifferences(db)).toEqual([]);
  expect(await pruneLedger(db, { keepSeconds: -60, limit: 2 })).toBe(1);
  expect(await listLedger(db, { pool: name, limit: 10 })).toMatchObject([{ delta: 4 }]);
  expect(await ledgerDifferences(db)).toEqual([]);
  await expect(sql`delete from allocation_ledger`.execute(db)).rejects.toThrow(/never changed or deleted/);
});

it('ledgerDifferences names a pool whose use differs from its ledger', async () => {
  const [clusterId, name] = [await cluster(db), await pool(db, { tokens: 10 })];
  const [grant] = await granted(db, request(clusterId, name, 4));
  expect(await ledgerDifferences(db)).toEqual([]);
  await sql`update pool_capacities set used = 3 where pool = ${name}`.execute(db);
  expect(await ledgerDifferences(db)).toEqual([{ pool: name, resource: 'tokens', used: 3, ledger: 4, granted: 4 }]);
  await sql`update pool_capacities set used = 4 where pool = ${name}`.execute(db);
  await sql`update allocations set state = 'released', ended_at = now() where id = ${grant?.id}`.execute(db);
  expect(await ledgerDifferences(db)).toEqual([{ pool: name, resource: 'tokens', used: 4, ledger: 4, granted: 0 }]);
});
