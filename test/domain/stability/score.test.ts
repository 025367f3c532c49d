import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { stabilityScore, stabilityWeights } from '../../../src/domain/stability/score.js';
import type { StabilityFacts } from '../../../src/domain/stability/score.js';

const perfect = (over: Partial<StabilityFacts> = {}): StabilityFacts => ({
  members: 5,
  ready: 5,
  desired: 5,
  min: 3,
  unplannedLosses: 0,
  flaps: 0,
  handOvers: { count: 100, within: 100 },
  mail: { sent: 100, dead: 0, redelivered: 0 },
  loads: [0.5, 0.5, 0.5, 0.5, 0.5],
  ...over,
});

test('the weights sum to 1', () => {
  expect(Object.values(stabilityWeights).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 12);
});

describe('the stability score after one unplanned loss, all else perfect', () => {
  test.each([
    [3, 0.829],
    [4, 0.87],
    [5, 0.895],
    [6, 0.912],
    [8, 0.933],
    [10, 0.946],
  ])('of %i members scores %d', (n, expected) => {
    const loss = { desired: n, ready: n - 1, min: 1, unplannedLosses: 1 };
    // The same before and after the lost member has left the membership.
    expect(stabilityScore(perfect({ ...loss, members: n })).score).toBeCloseTo(expected, 3);
    expect(stabilityScore(perfect({ ...loss, members: n - 1 })).score).toBeCloseTo(expected, 3);
  });

  test('two unplanned losses of ten score .895', () => {
    const two = perfect({ members: 10, desired: 10, ready: 8, unplannedLosses: 2 });
    expect(stabilityScore(two).score).toBeCloseTo(0.895, 3);
  });
});

test.each<[string, Partial<StabilityFacts>, number]>([
  ['all is well', {}, 1],
  ['more are ready than wanted', { members: 6, ready: 6 }, 1],
  ['a tenth of the mail was late', { handOvers: { count: 100, within: 90 } }, 0.98],
  ['a tenth of the mail died', { mail: { sent: 100, dead: 10, redelivered: 0 } }, 0.985],
  ['a tenth of the mail came twice', { mail: { sent: 100, dead: 0, redelivered: 10 } }, 0.9985],
  ['more died than was sent', { mail: { sent: 1, dead: 5, redelivered: 0 } }, 0.85],
  ['mail of before the window died', { mail: { sent: 0, dead: 1, redelivered: 0 } }, 0.85],
  ['one of five has all the load', { loads: [1, 0, 0, 0, 0] }, 0.92],
  ['members flap as often as they are many', { flaps: 5 }, 1 - 0.25 * (1 - Math.exp(-1))],
])('when %s', (_when, over, expected) => {
  expect(stabilityScore(perfect(over)).score).toBeCloseTo(expected, 9);
});

describe('caps', () => {
  test.each<[string, Partial<StabilityFacts>, number, string[]]>([
    // .3 * 2/3 + .7 = .9 before the cap
    ['below the minimum', { members: 2, ready: 2, desired: 3 }, 0.85, ['below_minimum']],
    // .3 * 4/10 + .7 = .82
    ['no majority', { members: 10, ready: 4, desired: 10 }, 0.5, ['no_quorum']],
    ['nobody', { ready: 0 }, 0, ['below_minimum', 'no_quorum', 'none_ready']],
  ])('%s', (_name, over, expected, caps) => {
    const score = stabilityScore(perfect(over));
    expect(score.score).toBeCloseTo(expected, 12);
    expect(score.caps).toEqual(caps);
  });

  test('a cap above the sum is listed and changes nothing', () => {
    const score = stabilityScore(perfect({ members: 2, ready: 1, desired: 4, unplannedLosses: 3 }));
    expect(score.caps).toEqual(['below_minimum', 'no_quorum']);
    expect(score.sum).toBeGreaterThan(0.5);
    expect(score.score).toBe(0.5);
  });
});

describe('an unknown stability score', () => {
  test('without observations the score and its parts are unknown, with the reason', () => {
    const score = stabilityScore(perfect({ ready: null }));
    expect(score.score).toBeNull();
    expect(score.unknown).toBe('no member has reported within the window');
    expect(score.parts).toEqual({ a: null, m: null, l: null, d: null, b: null });
  });

  test('the score is unknown without members and desired members', () => {
    expect(stabilityScore(perfect({ members: 0, ready: 0, desired: 0 })).score).toBeNull();
  });

  test('too few deliveries and too little load count as perfect and are listed as assumed', () => {
    const quiet = { handOvers: { count: 19, within: 0 }, mail: { sent: 0, dead: 0, redelivered: 0 }, loads: [0.04, 0] };
    const score = stabilityScore(perfect(quiet));
    expect(score.score).toBe(1);
    expect(score.assumed).toEqual(['l', 'd', 'b']);
    expect(stabilityScore(perfect()).assumed).toEqual([]);
  });
});

const anything: fc.Arbitrary<StabilityFacts> = fc
  .record({
    members: fc.nat(12),
    ready: fc.nat(12),
    desired: fc.nat(12),
    min: fc.nat(5),
    unplannedLosses: fc.nat(20),
    flaps: fc.nat(20),
    handOvers: fc.tuple(fc.nat(200), fc.nat(200)).map(([a, b]) => ({ count: Math.max(a, b), within: Math.min(a, b) })),
    mail: fc.record({ sent: fc.nat(100), dead: fc.nat(100), redelivered: fc.nat(500) }),
    loads: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 12 }),
  })
  .map((one) => ({ ...one, ready: Math.min(one.ready, one.members) }));

test('the score is the weighted sum of its parts in [0, 1] unless a cap lowers it', () => {
  fc.assert(
    fc.property(anything, (one) => {
      const { score, parts, sum, caps } = stabilityScore(one);
      if (score === null || parts.a === null) return;
      expect(score).toBeGreaterThanOrEqual(0);
      expect(score).toBeLessThanOrEqual(1);
      const { a, m, l, d, b } = parts;
      for (const part of [a, m, l, d, b]) {
        expect(part).toBeGreaterThanOrEqual(0);
        expect(part).toBeLessThanOrEqual(1 + 1e-9);
      }
      expect(sum).toBeCloseTo(0.3 * a + 0.25 * m + 0.2 * l + 0.15 * d + 0.1 * b, 9);
      if (caps.length === 0) expect(score).toBeCloseTo(Math.min(1, sum ?? 0), 9);
    }),
  );
});

test('the score never rises with a loss, a dead letter or a member that is not ready', () => {
  fc.assert(
    fc.property(anything, (one) => {
      const before = stabilityScore(one).score;
      const worse: StabilityFacts[] = [
        { ...one, unplannedLosses: one.unplannedLosses + 1 },
        { ...one, mail: { ...one.mail, dead: one.mail.dead + 1 } },
        { ...one, ready: Math.max(0, (one.ready ?? 0) - 1) },
      ];
      for (const facts of worse) {
        expect(stabilityScore(facts).score ?? 0).toBeLessThanOrEqual((before ?? 1) + 1e-12);
      }
    }),
  );
});
