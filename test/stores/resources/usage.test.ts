import fc from 'fast-check';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { foldSample, type Ewma } from '../../../src/domain/scaling/ewma.js';
import { defaultScalingRules as rules } from '../../../src/domain/scaling/rules.js';
import { queryRows } from '../../../src/stores/expressions.js';
import { recordUsage, pruneUsage, usageOf, type ResourcesDb } from '../../../src/stores/resources/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { fresh, times } from './builders.js';

let stores: TestDatabases;
let db: ResourcesDb;

beforeAll(async () => {
  stores = await createTestDatabases();
  db = stores.resources;
});
afterAll(() => stores?.drop());

/** The start of a slot, so that tests can count from it. */
const start = Math.floor(Date.now() / 300_000) * 300_000;
const tell = (agentId: string, second: number, amount: number) =>
  recordUsage(db, [{ agentId, resource: 'slots', amount, atMs: start + second * 1000 }]);
const rollupsOf = (agentId: string) =>
  queryRows<{ count: number; mean: number; max: number }>(db)`
    select count, sum / count as mean, max from usage_rollups where agent_id = ${agentId} order by slot, resource`;
const reading = async (agentId: string) => (await usageOf(db, [agentId]))[0];

describe('the usage reading', () => {
  it("the usage reading equals the domain's calculation for any samples, one per slot", async () => {
    const series = fc.array(fc.tuple(fc.integer({ min: -6, max: 40 }), fc.integer({ min: 0, max: 2000 })), {
      minLength: 1,
      maxLength: 12,
    });
    await fc.assert(
      fc.asyncProperty(series, async (steps) => {
        const agentId = fresh('agent');
        let state: Ewma | null = null;
        let slot = 1000;
        for (const [slots, thousandths] of steps) {
          // Another slot each time, or the same one again at the same moment, which is a report sent again.
          slot += slots;
          const sample = { atMs: start + slot * 15_000, ratio: thousandths / 1000 };
          state = foldSample(state, sample, rules);
          await recordUsage(db, [{ agentId, resource: 'slots', amount: sample.ratio, atMs: sample.atMs }]);
        }
        const found = await reading(agentId);
        expect(found?.atMs).toBe(state?.atMs);
        expect(found?.value).toBeCloseTo(state?.value ?? NaN, 12);
        expect(found?.previous === null).toBe(state?.previous === null);
        expect(found?.previous ?? 0).toBeCloseTo(state?.previous ?? 0, 12);
      }),
      { numRuns: 40 },
    );
  });

  it('the usage reading takes the latest sample of each slot', async () => {
    const [often, seldom] = [fresh('agent'), fresh('agent')];
    for (const second of [0, 5, 10, 14]) await tell(often, second, second === 14 ? 2 : 1);
    await tell(seldom, 14, 2);
    for (const second of [15, 20, 29]) await tell(often, second, second === 29 ? 4 : 0);
    await tell(seldom, 29, 4);
    const [one, other] = [await reading(often), await reading(seldom)];
    expect(one?.value).toBeCloseTo(2 * 2 ** -0.25 + 4 * (1 - 2 ** -0.25), 12);
    expect(one).toMatchObject({ value: other?.value, previous: 2, amount: 4, samples: 2 });
  });

  it('a late or repeated sample does not change the usage reading', async () => {
    const agentId = fresh('agent');
    await tell(agentId, 60, 3);
    await tell(agentId, 75, 5);
    const before = await reading(agentId);
    for (const second of [75, 70, 31, 30]) await tell(agentId, second, 100);
    expect(await reading(agentId)).toEqual(before);
    expect((await rollupsOf(agentId))[0]).toMatchObject({
      count: 2,
      mean: 4,
      max: 5,
    });
    // Further back than what is stale: the clock was set back, and the average begins anew.
    await tell(agentId, 29, 7);
    expect(await reading(agentId)).toMatchObject({ value: 7, previous: null, samples: 1 });
  });

  it('usage is kept per agent and resource, and the latest sample of a call counts in any order', async () => {
    const ids = times(50, () => fresh('agent'));
    const samples = ids.flatMap((agentId, index) => [
      { agentId, resource: 'slots', amount: index, atMs: start + 20_000 },
      { agentId, resource: 'slots', amount: 999, atMs: start },
      { agentId, resource: 'cpu', amount: 0.5, atMs: start },
    ]);
    await Promise.all([recordUsage(db, samples), recordUsage(db, [...samples].reverse())]);
    const found = await usageOf(db, ids);
    expect(found).toHaveLength(100);
    for (const [index, agentId] of ids.entries()) {
      expect(found.find((one) => one.agentId === agentId && one.resource === 'slots')).toMatchObject({ value: index });
    }
    expect(await usageOf(db, ['nobody'])).toEqual([]);
    await recordUsage(db, []);
  });

  it.each([-1, NaN, Infinity, 2e12])(
    'a usage report with an amount of %d is refused and stores nothing',
    async (amount) => {
      const agentId = fresh('agent');
      const samples = [1, amount].map((one, index) => ({ agentId, resource: `r${index}`, amount: one }));
      await expect(recordUsage(db, samples)).rejects.toMatchObject({ code: 'invalid_request' });
      await expect(tell(agentId, amount * 1e12, 1)).rejects.toMatchObject({ code: 'invalid_request' });
      expect(await usageOf(db, [agentId])).toEqual([]);
      await tell(agentId, 0, 1);
      await expect(
        sql`update usage_latest set value = ${String(amount)}::double precision where agent_id = ${agentId}`.execute(
          db,
        ),
      ).rejects.toThrow(/violates check/);
    },
  );
});

it('usage roll-ups have one row per five minutes, and old ones are deleted in chunks', async () => {
  const agentId = fresh('agent');
  for (let second = -7200; second < 0; second += 100) await tell(agentId, second, 10 + (second % 300) / 100);
  const history = await rollupsOf(agentId);
  expect(history).toHaveLength(24);
  for (const { count, mean, max } of history) expect({ count, mean, max }).toEqual({ count: 3, mean: 9, max: 10 });
  let trimmed = 0;
  for (let last = 5; last >= 5; trimmed += last) last = await pruneUsage(db, { keepSeconds: 3600, limit: 5 });
  expect(trimmed).toBeGreaterThanOrEqual(11);
  const left = await rollupsOf(agentId);
  expect(left.length).toBeLessThanOrEqual(13);
  expect(await reading(agentId)).toBeDefined();
});
