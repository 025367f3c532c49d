import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Claim } from '../../../src/domain/scaling/claims.js';
import { allocate } from '../../../src/domain/scaling/drf.js';

const claim = (id: string, perUnit: Claim['perUnit'], over: Partial<Claim> = {}): Claim => ({
  id,
  weight: 1,
  perUnit,
  wanted: 1000,
  ...over,
});
const unitsOf = (allocation: ReturnType<typeof allocate>): Record<string, number> =>
  Object.fromEntries(allocation.shares.map(({ id, units }) => [id, units]));
const shareOf = (allocation: ReturnType<typeof allocate>, id: string) => {
  const share = allocation.shares.find((one) => one.id === id);
  if (!share) throw new Error(`no share of ${id}`);
  return share;
};

describe('weighted dominant resource fairness', () => {
  test("the paper's example: 9 cpu and 18 GB, A <1, 4> gets 3 tasks, B <3, 1> gets 2", () => {
    const claims = [claim('A', { cpu: 1, memory: 4 }), claim('B', { cpu: 3, memory: 1 })];
    const allocation = allocate({ capacity: { cpu: 9, memory: 18 }, claims, headroom: 0 });
    expect(unitsOf(allocation)).toEqual({ A: 3, B: 2 });
    expect(shareOf(allocation, 'A')).toMatchObject({ dominantShare: 12 / 18, dominantResource: 'memory' });
    expect(shareOf(allocation, 'B')).toMatchObject({ dominantShare: 6 / 9, dominantResource: 'cpu' });
    expect(allocation.free).toEqual({ cpu: 0, memory: 4 });
    expect(allocation.jain).toBe(1);
  });

  test('rates are shared like stocks', () => {
    const claims = [claim('A', { tokensPerMinute: 1000 }), claim('B', { tokensPerMinute: 1000 }, { weight: 3 })];
    const allocation = allocate({ capacity: { tokensPerMinute: 8000 }, claims, headroom: 0 });
    expect(unitsOf(allocation)).toEqual({ A: 2, B: 6 });
  });

  test('only guarantees may use the headroom', () => {
    const claims = [claim('A', { slots: 1 }), claim('B', { slots: 1 }, { guaranteed: 8 })];
    // B is brought to 8 first; 9 of 10 may be used, so A has the ninth.
    expect(unitsOf(allocate({ capacity: { slots: 10 }, claims }))).toEqual({ A: 1, B: 8 });
    const both = claims.map((one) => ({ ...one, guaranteed: 5 }));
    expect(unitsOf(allocate({ capacity: { slots: 10 }, claims: both }))).toEqual({ A: 5, B: 5 });
  });

  test('guarantees that do not all fit are shared fairly', () => {
    const claims = ['A', 'B', 'C'].map((id) => claim(id, { slots: 1 }, { guaranteed: 4 }));
    expect(unitsOf(allocate({ capacity: { slots: 6 }, claims }))).toEqual({ A: 2, B: 2, C: 2 });
  });

  test('held units stay above a quota, above the fair share and in a shrunk pool', () => {
    const claims = [
      claim('A', { slots: 1 }, { held: 6, quota: { slots: 4 } }),
      claim('B', { slots: 1 }, { wanted: 3 }),
      claim('C', { slots: 1 }, { held: 1 }),
    ];
    const allocation = allocate({ capacity: { slots: 10 }, claims, headroom: 0 });
    expect(unitsOf(allocation)).toEqual({ A: 6, B: 2, C: 1 + 1 });
    const shrunk = allocate({ capacity: { slots: 5 }, claims, headroom: 0 });
    expect(unitsOf(shrunk)).toEqual({ A: 6, B: 0, C: 1 });
    expect(shrunk.free).toEqual({ slots: -2 });
    expect(shareOf(shrunk, 'A').dominantShare).toBeCloseTo(1.2, 12);
  });

  test('amounts taken outside the claims are not allocated', () => {
    const input = { capacity: { slots: 10 }, taken: { slots: 7 }, claims: [claim('A', { slots: 1 })], headroom: 0 };
    expect(unitsOf(allocate(input))).toEqual({ A: 3 });
  });

  test('0.3 fits three units of 0.1: amounts are counted in thousandths', () => {
    const claims = [claim('A', { cpu: 0.1 })];
    expect(unitsOf(allocate({ capacity: { cpu: 0.3 }, claims, headroom: 0 }))).toEqual({ A: 3 });
    expect(unitsOf(allocate({ capacity: { cpu: 0.2999 }, claims, headroom: 0 }))).toEqual({ A: 2 });
    const tiny = [claim('A', { cpu: 1e-9 })];
    expect(unitsOf(allocate({ capacity: { cpu: 0.002 }, claims: tiny, headroom: 0 }))).toEqual({ A: 2 });
  });

  test('a unit that takes nothing is granted in full', () => {
    const claims = [claim('A', {}), claim('B', { slots: 0 }), claim('C', { slots: 1 })];
    expect(unitsOf(allocate({ capacity: { slots: 2 }, claims, headroom: 0 }))).toEqual({ A: 1000, B: 1000, C: 2 });
  });

  test('of equal claims the one that waited longest is served first', () => {
    const claims = [claim('A', { slots: 1 }), claim('Z', { slots: 1 }, { waitingSinceMs: 5 })];
    expect(unitsOf(allocate({ capacity: { slots: 3 }, claims, headroom: 0 }))).toEqual({ A: 1, Z: 2 });
  });
});

describe('answers', () => {
  const answers = (input: Parameters<typeof allocate>[0]) =>
    Object.fromEntries(allocate(input).shares.map(({ id, answer }) => [id, answer]));

  test('answers are granted, partial with a queue position, or queued', () => {
    const claims = [
      claim('A', { slots: 1 }, { wanted: 2 }),
      claim('B', { slots: 1 }, { held: 4, wanted: 8 }),
      claim('C', { slots: 1 }, { wanted: 6 }),
    ];
    expect(answers({ capacity: { slots: 10 }, claims, headroom: 0 })).toEqual({
      A: { kind: 'granted' },
      B: {
        kind: 'queued',
        position: 1,
        why: { reason: 'capacity', resource: 'slots', detail: 'one unit takes 1 slots, 0 is free' },
      },
      C: {
        kind: 'partial',
        position: 2,
        why: { reason: 'capacity', resource: 'slots', detail: 'one unit takes 1 slots, 0 is free' },
      },
    });
  });

  test('a claim limited by headroom is distinguished from one limited by capacity', () => {
    const claims = [claim('A', { slots: 1 }, { wanted: 10 })];
    expect(answers({ capacity: { slots: 10 }, claims })['A']).toEqual({
      kind: 'partial',
      position: 1,
      why: {
        reason: 'headroom',
        resource: 'slots',
        detail: 'one unit takes 1 slots, 1 is free, of which 1 is kept as headroom',
      },
    });
  });

  test.each<[string, Partial<Claim>, string, string]>([
    [
      'no agent or pool offers it',
      { perUnit: { gpu: 1 } },
      'not_offered',
      'no agent or pool offers gpu; register one that does',
    ],
    [
      'it would never fit',
      { perUnit: { slots: 11 } },
      'too_large',
      'one unit takes 11 slots, of which at most 9 can be allocated',
    ],
    ['the quota is reached', { held: 2, quota: { slots: 2.5 } }, 'quota', 'the quota is 2.5 slots; 3 units take 3'],
    ['its weight is 0', { weight: 0 }, 'invalid', 'weight is 0; it must be a number above 0'],
    ['its weight is no number', { weight: Number.NaN }, 'invalid', 'weight is NaN; it must be a number above 0'],
    [
      'it wants half a unit',
      { wanted: 0.5 },
      'invalid',
      'wanted is 0.5; it must be a whole number of units, 0 or more',
    ],
    ['a unit gives', { perUnit: { slots: -1 } }, 'invalid', 'slots is -1; an amount must be 0 to 1000000000000'],
    [
      'an amount is absurd',
      { perUnit: { slots: 1e13 } },
      'invalid',
      'slots is 10000000000000; an amount must be 0 to 1000000000000',
    ],
    [
      'a quota is no number',
      { quota: { slots: Number.NaN } },
      'invalid',
      'slots is NaN; an amount must be 0 to 1000000000000',
    ],
  ])('denied when %s', (_when, over, reason, detail) => {
    const answer = answers({ capacity: { slots: 10 }, claims: [claim('A', { slots: 1 }, over)] })['A'];
    expect(answer).toEqual({ kind: 'denied', why: { reason, resource: expect.toSatisfy(() => true), detail } });
  });

  test('a claim limited by its quota is partial without a queue position', () => {
    const claims = [claim('A', { slots: 2 }, { quota: { slots: 5 } })];
    expect(answers({ capacity: { slots: 100 }, claims })['A']).toMatchObject({
      kind: 'partial',
      position: null,
      why: { reason: 'quota' },
    });
  });

  test('an invalid capacity counts as none', () => {
    const claims = [claim('A', { slots: 1 })];
    expect(answers({ capacity: { slots: Number.NaN }, claims })['A']).toMatchObject({ why: { reason: 'not_offered' } });
    expect(answers({ capacity: { slots: -5 }, claims })['A']).toMatchObject({ why: { reason: 'not_offered' } });
  });
});

test("Jain's index compares waiting claims with larger ones, not with satisfied small ones", () => {
  const jain = (claims: Claim[]) => allocate({ capacity: { slots: 12 }, claims, headroom: 0 }).jain;
  expect(jain([claim('A', { slots: 1 }, { wanted: 1 }), claim('B', { slots: 1 })])).toBe(1);
  // Held 9 and 3 of 12 by one that waits: (9 + 3)^2 / (2 * (81 + 9)) = 144 / 180
  const uneven = [claim('A', { slots: 1 }, { wanted: 9, held: 9 }), claim('B', { slots: 1 })];
  expect(jain(uneven)).toBeCloseTo(0.8, 12);
  expect(jain([claim('A', { slots: 1 }, { wanted: 9, held: 9 })])).toBe(1);
});

const resources = ['slots', 'cpu', 'memoryMiB', 'tokensPerMinute'] as const;
const problem = (over: { headroom?: number } = {}) =>
  fc
    .record({
      capacity: fc.record(
        Object.fromEntries(resources.map((name) => [name, fc.integer({ min: 1, max: 60 })])) as Record<
          (typeof resources)[number],
          fc.Arbitrary<number>
        >,
      ),
      claims: fc.uniqueArray(
        fc.record({
          id: fc.integer({ min: 0, max: 99 }).map((n) => `c${n}`),
          weight: fc.constantFrom(1, 1, 2, 3, 0.5),
          perUnit: fc.dictionary(fc.constantFrom(...resources), fc.integer({ min: 1, max: 6 }), { minKeys: 1 }),
          wanted: fc.integer({ min: 0, max: 40 }),
          guaranteed: fc.constantFrom(0, 0, 1, 3),
          quota: fc.constantFrom({}, {}, { slots: 7 }),
        }),
        { selector: ({ id }) => id, minLength: 1, maxLength: 8 },
      ),
    })
    .map((one) => ({ ...one, ...over }));
/** Without guarantees, quotas and headroom, as the paper has it. */
const plain = problem({ headroom: 0 }).map(({ claims, ...rest }) => ({
  ...rest,
  claims: claims.map(({ guaranteed: _g, quota: _q, ...claim }): Claim => claim),
}));
const takes = (one: Claim, units: number, resource: string): number => units * (one.perUnit[resource] ?? 0);

describe('arbitrary claims on arbitrary capacity', () => {
  test('no allocation exceeds capacity, headroom, quota or the wanted units', () => {
    fc.assert(
      fc.property(problem(), ({ capacity, claims }) => {
        const { shares, free } = allocate({ capacity, claims });
        const guaranteed = (index: number) => Math.min(shares[index]?.units ?? 0, claims[index]?.guaranteed ?? 0);
        for (const resource of resources) {
          const used = claims.reduce((sum, one, index) => sum + takes(one, shares[index]?.units ?? 0, resource), 0);
          expect(used).toBeLessThanOrEqual(capacity[resource]);
          expect(free[resource]).toBeCloseTo(capacity[resource] - used, 9);
          const pledged = claims.reduce((sum, one, index) => sum + takes(one, guaranteed(index), resource), 0);
          expect(used).toBeLessThanOrEqual(Math.max(pledged, capacity[resource] * 0.9));
        }
        for (const [index, one] of claims.entries()) {
          const units = shares[index]?.units ?? 0;
          expect(units).toBeLessThanOrEqual(one.wanted);
          expect(takes(one, units, 'slots')).toBeLessThanOrEqual(one.quota.slots ?? Infinity);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('no waste: a waiting claim could not get one more unit', () => {
    fc.assert(
      fc.property(plain, (input) => {
        const { shares, free } = allocate(input);
        for (const [index, one] of input.claims.entries()) {
          if ((shares[index]?.units ?? 0) >= one.wanted) continue;
          const fits = resources.every((resource) => takes(one, 1, resource) <= (free[resource] ?? 0));
          expect(fits).toBe(false);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('an answer is granted exactly when all wanted units are there, and positions are 1, 2, 3, …', () => {
    fc.assert(
      fc.property(problem(), (input) => {
        const { shares } = allocate(input);
        for (const [index, { units, answer }] of shares.entries()) {
          expect(answer.kind === 'granted').toBe(units === input.claims[index]?.wanted);
          expect(answer.kind === 'partial').toBe(units > 0 && units < (input.claims[index]?.wanted ?? 0));
        }
        const positions = shares
          .map(({ answer }) => ('position' in answer ? answer.position : null))
          .filter((position) => position !== null);
        expect(positions.sort((a, b) => a - b)).toEqual(positions.map((_, index) => index + 1));
      }),
      { numRuns: 300 },
    );
  });

  test('sharing incentive: no claim gets less than its weighted share, up to rounding to units', () => {
    let telling = 0;
    fc.assert(
      fc.property(plain, (input) => {
        const { shares } = allocate(input);
        const all = input.claims.reduce((sum, { weight }) => sum + weight, 0);
        const unitShare = (one: Claim) =>
          Math.max(...resources.map((resource) => takes(one, 1, resource) / input.capacity[resource]));
        const slack = input.claims.reduce((sum, one) => sum + unitShare(one), 0);
        for (const [index, one] of input.claims.entries()) {
          const share = shares[index];
          if (!share || share.units >= one.wanted) continue;
          // It was refused while the others together had less than (own level x their weights + one unit each).
          const part = (one.weight / all) * (1 - slack - unitShare(one));
          if (part > 0) telling += 1;
          expect(share.dominantShare).toBeGreaterThan(part - 1e-9);
        }
      }),
      { numRuns: 500 },
    );
    expect(telling).toBeGreaterThan(50);
  });

  test("envy-free up to one unit: no claim could do more with an equal-weight claim's share less one unit", () => {
    const equal = plain.map((input) => ({ ...input, claims: input.claims.map((one) => ({ ...one, weight: 1 })) }));
    let compared = 0;
    fc.assert(
      fc.property(equal, (input) => {
        const { shares } = allocate(input);
        for (const [i, one] of input.claims.entries()) {
          const own = shares[i]?.units ?? 0;
          if (own >= one.wanted) continue;
          for (const [j, other] of input.claims.entries()) {
            if (i === j) continue;
            compared += 1;
            const theirs = Math.max(0, (shares[j]?.units ?? 0) - 1);
            const possible = Math.min(
              ...Object.entries(one.perUnit).map(([resource, amount]) => takes(other, theirs, resource) / amount),
            );
            expect(Math.floor(possible + 1e-9)).toBeLessThanOrEqual(own);
          }
        }
      }),
      { numRuns: 1000 },
    );
    expect(compared).toBeGreaterThan(500);
  });

  test('claims that differ only in weight get units in proportion, up to one unit', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 6 }),
        fc.integer({ min: 20, max: 400 }),
        (weights, slots) => {
          const claims = weights.map((weight, index) => claim(`c${index}`, { slots: 1 }, { weight }));
          const { shares, jain } = allocate({ capacity: { slots }, claims, headroom: 0 });
          const levels = shares.map(({ units }, index) => units / (weights[index] ?? 1));
          expect(Math.max(...levels) - Math.min(...levels)).toBeLessThanOrEqual(1 / Math.min(...weights) + 1e-9);
          expect(shares.reduce((sum, { units }) => sum + units, 0)).toBe(slots);
          expect(jain).toBeGreaterThan(0.5);
        },
      ),
    );
  });

  test('the order of claims does not affect the allocation', () => {
    const shuffled = problem().chain((input) =>
      fc.tuple(fc.constant(input), fc.shuffledSubarray(input.claims, { minLength: input.claims.length })),
    );
    fc.assert(
      fc.property(shuffled, ([input, claims]) => {
        const byId = (allocation: ReturnType<typeof allocate>) =>
          [...allocation.shares].sort((a, b) => (a.id < b.id ? -1 : 1));
        const one = allocate(input);
        const other = allocate({ ...input, claims });
        expect(byId(other)).toEqual(byId(one));
        expect(other.free).toEqual(one.free);
        expect(other.jain).toBeCloseTo(one.jain, 12);
      }),
      { numRuns: 300 },
    );
  });

  test('repeating an allocation with the granted units held gives no claim less', () => {
    fc.assert(
      fc.property(problem(), (input) => {
        const first = allocate(input);
        const held = input.claims.map((one, index) => ({ ...one, held: first.shares[index]?.units ?? 0 }));
        expect(allocate({ ...input, claims: held }).shares.map(({ units }) => units)).toEqual(
          first.shares.map(({ units }) => units),
        );
      }),
      { numRuns: 200 },
    );
  });
});

test('10,000 clusters with 4 resources take at most a second', () => {
  const claims = Array.from({ length: 10_000 }, (_, index) =>
    claim(
      `c${index}`,
      { slots: 1 + (index % 4), cpu: 1 + (index % 3), memoryMiB: 256 * (1 + (index % 7)), tokensPerMinute: 100 },
      { weight: 1 + (index % 5), wanted: 3 + (index % 8), guaranteed: 3 },
    ),
  );
  const capacity = { slots: 120_000, cpu: 100_000, memoryMiB: 60_000_000, tokensPerMinute: 5_000_000 };
  const times = Array.from({ length: 3 }, () => {
    const started = performance.now();
    const { shares } = allocate({ capacity, claims });
    expect(shares.some(({ answer }) => answer.kind === 'partial')).toBe(true);
    return performance.now() - started;
  });
  expect(Math.min(...times)).toBeLessThan(1000);
});
