import { sql } from 'kysely';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openDatabase } from '../../src/stores/database.js';
import {
  expireAllocations,
  ledgerDifferences,
  openAccount,
  putPool,
  releaseAllocation,
  allocate,
  type ResourcesDb,
  type ResourcesSchema,
} from '../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';

const allocations = 10_000;
const connections = 64;
const pools = ['a', 'b', 'c', 'd'];

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases();
  db = openDatabase<ResourcesSchema>({
    url: stores.urls.resources,
    applicationName: 'allocations',
    maxConnections: connections,
  });
  for (const name of pools) await putPool(db, { name, capacity: { tokens: 40 } });
  for (let n = 0; n < 8; n += 1) await openAccount(db, { clusterId: `cl-${n}`, weight: 1, perMember: {} });
});
afterAll(async () => {
  await db?.destroy();
  await stores?.drop();
});

/** Numbers that look random and are the same in every run. */
const dice = (seed: number) => {
  let state = seed;
  return (sides: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
};

it('10,000 conflicting allocations over 64 connections never commit more than there is, and the ledger conserves', async () => {
  let left = allocations;
  const seen = { granted: 0, short: 0, looks: 0 };
  const ask = async (worker: number): Promise<void> => {
    const roll = dice(worker);
    const held: number[] = [];
    while (left > 0) {
      left -= 1;
      const chosen = pools.filter(() => roll(2) === 0);
      const answer = await allocate(db, {
        requestId: `r-${left}`,
        clusterId: `cl-${worker % 8}`,
        operationId: 'op_1',
        // Against the order of the locks, so that the order in which they are asked for cannot be what helps.
        amounts: (chosen.length === 0 ? pools : chosen)
          .map((pool) => ({ pool, resource: 'tokens', amount: 0.5 + roll(10) }))
          .reverse(),
        leaseSeconds: 3600,
      });
      seen[answer.state] += 1;
      if (answer.state === 'granted') held.push(...answer.grants.map(({ id }) => id));
      if (held.length > 4 || roll(2) === 0) await releaseAllocation(db, { allocationIds: held.splice(0) });
    }
    await releaseAllocation(db, { allocationIds: held });
  };
  const sample = async (): Promise<void> => {
    while (left > 0) {
      const { rows } = await sql<{ over: number; differ: number }>`
        select (select count(*) from pool_capacities where used > capacity or used < 0) as over,
          (select count(*) from pool_capacities c where c.used <> coalesce(
            (select sum(amount) from allocations g where g.pool = c.pool and g.resource = c.resource and g.state = 'held'), 0))
            as differ`.execute(stores.resources);
      expect(rows[0]).toEqual({ over: 0, differ: 0 });
      await expireAllocations(stores.resources, 10);
      seen.looks += 1;
    }
  };
  await Promise.all([sample(), ...Array.from({ length: connections }, (_, worker) => ask(worker + 1))]);

  expect(seen.granted + seen.short).toBe(allocations);
  expect(Math.min(seen.granted, seen.short)).toBeGreaterThan(allocations / 20);
  expect(seen.looks).toBeGreaterThan(10);
  expect(await ledgerDifferences(db)).toEqual([]);
  const { rows } = await sql`select 1 from pool_capacities where used <> 0
    union all select 1 from quotas where allocated <> 0 union all select 1 from allocation_ledger having sum(delta) <> 0`.execute(
    db,
  );
  expect(rows).toEqual([]);
}, 120_000);
