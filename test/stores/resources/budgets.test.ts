import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  budgetDifferences,
  budgetsOf,
  closeAccount,
  commitHold,
  expireHolds,
  findBudget,
  findHold,
  openAccount,
  putBudget,
  releaseHold,
  placeHold,
  pruneHolds,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { cluster, fresh, times } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.resources;
  await openAccount(db, { clusterId: 'cl-1', weight: 1, perMember: {} });
});
afterAll(async () => {
  expect(await budgetDifferences(db)).toEqual([]);
  await stores?.drop();
});

const budgetOf = async (limit: number): Promise<string> => {
  const id = fresh('budget');
  await putBudget(db, { id, clusterId: 'cl-1', resource: 'usd', limit });
  return id;
};
const aside = async (budgetId: string, amount: number, holdId = fresh('res')): Promise<string> =>
  (await placeHold(db, { budgetId, holdId, amount, leaseSeconds: 60 })).reservation.id;
const lapse = (id: string) =>
  sql`update holds set lease_expires_at = clock_timestamp() - interval '1 ms' where id = ${id}`.execute(db);

describe('a hold', () => {
  it("a hold reserves from the budget's remainder, and its refusal names the remainder", async () => {
    const id = await budgetOf(10);
    await aside(id, 6.5);
    await expect(aside(id, 3.501)).rejects.toMatchObject({
      code: 'budget_exceeded',
      message: expect.stringContaining('3.5 of 10 is left') as string,
    });
    await aside(id, 3.5);
    expect(await findBudget(db, id)).toMatchObject({ limit: 10, reserved: 10, committed: 0, overdrawn: 0, left: 0 });
  });

  it('concurrent requests with one hold id make one hold, and other content is a conflict', async () => {
    const [id, other, reservationId] = [await budgetOf(10), await budgetOf(10), fresh('res')];
    await Promise.all(times(20, () => aside(id, 6, reservationId)));
    expect(await findBudget(db, id)).toMatchObject({ reserved: 6 });
    await expect(aside(id, 5, reservationId)).rejects.toMatchObject({ code: 'idempotency_conflict' });
    await expect(aside(other, 6, reservationId)).rejects.toMatchObject({ code: 'idempotency_conflict' });
    const both = fresh('res');
    const raced = await Promise.allSettled([aside(id, 1, both), aside(other, 1, both)]);
    const lost = raced
      .filter((one) => one.status === 'rejected')
      .map(({ reason }) => (reason as { code: string }).code);
    expect(lost).toEqual(['idempotency_conflict']);
  });

  it('concurrent holds never exceed the budget', async () => {
    const id = await budgetOf(10);
    const outcomes = await Promise.allSettled(times(40, () => aside(id, 0.3)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(33);
    expect(await findBudget(db, id)).toMatchObject({ reserved: 9.9, left: 0.1 });
  });

  it('committing a hold charges the used amount once and frees the rest', async () => {
    const [id, released] = [await budgetOf(10), await aside(await budgetOf(5), 5)];
    const reservation = await aside(id, 6);
    await Promise.all(times(10, () => commitHold(db, reservation, 2.25)));
    expect(await findBudget(db, id)).toMatchObject({ reserved: 0, committed: 2.25, left: 7.75 });
    await expect(commitHold(db, reservation, 3)).rejects.toMatchObject({ code: 'idempotency_conflict' });
    await expect(releaseHold(db, reservation)).rejects.toMatchObject({ code: 'state_conflict' });
    await releaseHold(db, released);
    expect((await releaseHold(db, released)).budget).toMatchObject({ reserved: 0, left: 5 });
    await expect(commitHold(db, released, 1)).rejects.toMatchObject({ code: 'state_conflict' });
    await expect(commitHold(db, 'res-none', 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('a hold that used more is charged from the remainder, and the rest is reported as overdrawn and blocks further holds', async () => {
    const id = await budgetOf(10);
    const [small, other] = [await aside(id, 2), await aside(id, 5)];
    const { reservation, budget } = await commitHold(db, small, 7);
    expect(reservation).toMatchObject({ state: 'committed', actual: 7, overdrawn: 2 });
    expect(budget).toMatchObject({ reserved: 5, committed: 5, overdrawn: 2, left: 0 });
    // What the other gives back pays for what was overdrawn first.
    expect((await releaseHold(db, other)).budget).toMatchObject({ reserved: 0, left: 3 });
    await expect(aside(id, 3.001)).rejects.toMatchObject({ code: 'budget_exceeded' });
    await aside(id, 3);
  });

  it('a hold expires after its lease, and an amount committed later is still charged', async () => {
    const id = await budgetOf(10);
    const ids = [await aside(id, 2), await aside(id, 2), await aside(id, 2)];
    for (const one of ids.slice(0, 2)) await lapse(one);
    expect(await expireHolds(db, 1)).toHaveLength(1);
    expect(await expireHolds(db, 10)).toHaveLength(1);
    expect(await expireHolds(db, 10)).toEqual([]);
    expect(await findBudget(db, id)).toMatchObject({ reserved: 2, left: 8 });
    expect((await commitHold(db, ids[0] ?? '', 3)).budget).toMatchObject({ reserved: 2, committed: 3, left: 5 });
    expect((await findHold(db, ids[1] ?? ''))?.state).toBe('expired');
  });
});

it('ended holds are deleted in chunks, and the budget still equals the sum of its entries', async () => {
  const id = await budgetOf(10);
  const held = await aside(id, 1);
  for (const used of [0.5, 1, 2]) await commitHold(db, await aside(id, 1), used);
  const before = await findBudget(db, id);
  expect(await pruneHolds(db, { keepSeconds: 3600, limit: 100 })).toBe(0);
  // Entries that carry are entries, too: in the end there is one a budget, which is carried again and again.
  for (let round = 0; round < 20; round += 1) {
    expect(await pruneHolds(db, { keepSeconds: -60, limit: 5 })).toBeLessThanOrEqual(10);
    expect(await budgetDifferences(db)).toEqual([]);
  }
  await pruneHolds(db, { keepSeconds: -60, limit: 1000 });
  const { rows } = await sql<{ reason: string }>`select reason from budget_ledger where budget_id = ${id}`.execute(db);
  expect(rows).toEqual([{ reason: 'carried' }]);
  expect(await findBudget(db, id)).toEqual(before);
  expect((await findHold(db, held))?.state).toBe('open');
});

describe('a budget', () => {
  it('a budget without an open account refuses holds, and existing holds can still end', async () => {
    const [clusterId, id, none] = [await cluster(db), fresh('budget'), fresh('budget')];
    await putBudget(db, { id, clusterId, resource: 'usd', limit: 10 });
    const [spent, unused] = [await aside(id, 3), await aside(id, 3)];
    await closeAccount(db, clusterId);
    await expect(aside(id, 1)).rejects.toMatchObject({
      code: 'state_conflict',
      message: expect.stringContaining(`"${clusterId}", whose account is closed`) as string,
    });
    expect(await aside(id, 3, spent)).toBe(spent);
    await commitHold(db, spent, 2);
    await releaseHold(db, unused);
    expect(await findBudget(db, id)).toMatchObject({ reserved: 0, committed: 2 });
    await putBudget(db, { id: none, clusterId: fresh('cl-none'), resource: 'usd', limit: 10 });
    await expect(aside(none, 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('a budget cannot be set below its reserved and committed amount, or to another resource or cluster', async () => {
    const id = await budgetOf(10);
    await commitHold(db, await aside(id, 4), 4);
    await aside(id, 3);
    const same = { id, clusterId: 'cl-1', resource: 'usd' };
    await expect(putBudget(db, { ...same, limit: 6.999 })).rejects.toMatchObject({ code: 'state_conflict' });
    expect(await putBudget(db, { ...same, limit: 7 })).toMatchObject({ limit: 7, left: 0 });
    await expect(putBudget(db, { ...same, clusterId: 'cl-2', limit: 7 })).rejects.toMatchObject({
      code: 'state_conflict',
    });
    await expect(aside('budget-none', 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  it.each([-1, NaN, Infinity, 2e12])('a budget refuses an amount of %d', async (amount) => {
    const id = await budgetOf(10);
    const invalid = { code: 'invalid_request' };
    await expect(aside(id, amount)).rejects.toMatchObject(invalid);
    await expect(commitHold(db, 'any', amount)).rejects.toMatchObject(invalid);
    await expect(putBudget(db, { id, clusterId: 'cl-1', resource: 'usd', limit: amount })).rejects.toMatchObject(
      invalid,
    );
    await expect(
      sql`update budgets set limit_amount = ${String(amount)}::numeric where id = ${id}`.execute(db),
    ).rejects.toThrow(/violates check|overflow/);
  });

  it("a cluster's budgets are listed together, and a budget whose ledger differs is named", async () => {
    const clusterId = fresh('cl');
    const ids = ['a', 'b', 'c'].map((letter) => `${clusterId}-${letter}`);
    for (const id of ids) await putBudget(db, { id, clusterId, resource: 'usd', limit: 1 });
    const first = await budgetsOf(db, clusterId, { limit: 2 });
    expect(
      [...first, ...(await budgetsOf(db, clusterId, { after: first[1]?.id ?? '', limit: 2 }))].map(({ id }) => id),
    ).toEqual(ids);
    await sql`update budgets set committed = 1 where id = ${ids[1]}`.execute(db);
    expect(await budgetDifferences(db)).toEqual([{ budgetId: ids[1] }]);
    await sql`update budgets set committed = 0 where id = ${ids[1]}`.execute(db);
  });
});
