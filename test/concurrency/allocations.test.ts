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
import { seededRandom } from './seeded-random.js';

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

it("10,000 conflicting allocations over 64 connections never exceed a pool's capacity, and the ledger adds up", async () => {
  let left = allocations;
  const counts = { granted: 0, short: 0, samples: 0 };
  const ask = async (worker: number): Promise<void> => {
    const random = seededRandom(worker);
    const roll = (sides: number): number => Math.floor(random() * sides);
    const held: number[] = [];
    while (left > 0) {
      left -= 1;
      const chosen = pools.filter(() => roll(2) === 0);
      const answer = await allocate(db, {
        requestId: `r-${left}`,
        clusterId: `cl-${worker % 8}`,
        operationId: 'op_1',
        // In the reverse of the lock order, so that the order of the request does not prevent deadlocks.
        amounts: (chosen.length === 0 ? pools : chosen)
          .map((pool) => ({ pool, resource: 'tokens', amount: 0.5 + roll(10) }))
          .reverse(),
        leaseSeconds: 3600,
      });
      counts[answer.state] += 1;
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
      counts.samples += 1;
    }
  };
  await Promise.all([sample(), ...Array.from({ length: connections }, (_, worker) => ask(worker + 1))]);

  expect(counts.granted + counts.short).toBe(allocations);
  expect(Math.min(counts.granted, counts.short)).toBeGreaterThan(allocations / 20);
  expect(counts.samples).toBeGreaterThan(10);
  expect(await ledgerDifferences(db)).toEqual([]);
  const { rows } = await sql`select 1 from pool_capacities where used <> 0
    union all select 1 from quotas where allocated <> 0 union all select 1 from allocation_ledger having sum(delta) <> 0`.execute(
    db,
  );
  expect(rows).toEqual([]);
}, 120_000);
