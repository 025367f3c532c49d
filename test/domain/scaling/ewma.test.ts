import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ewmaOf, foldSample, freshness, usageRatio } from '../../../src/domain/scaling/ewma.js';
import { defaultScalingRules as rules } from '../../../src/domain/scaling/rules.js';

test.each([
  [2, 4, 0.5],
  [0, 4, 0],
  [9, 4, 2], // more than twice its capacity counts as twice
  [-1, 4, null],
  [1, 0, null],
  [Number.NaN, 4, null],
  [1, Infinity, null],
])('%d used of %d is %d', (used, capacity, ratio) => {
  expect(usageRatio(used, capacity)).toBe(ratio);
});

describe('the average', () => {
  const at = (second: number, ratio: number) => ({ atMs: second * 1000, ratio });

  test('the average moves half way in one half-life and three quarters in two, however sampled', () => {
    expect(ewmaOf([at(0, 0), at(60, 1)], rules)?.value).toBeCloseTo(0.5, 12);
    expect(ewmaOf([at(0, 0), at(120, 1)], rules)?.value).toBeCloseTo(0.75, 12);
    expect(ewmaOf([at(0, 0), at(7, 1), at(60, 1)], rules)?.value).toBeCloseTo(0.5, 12);
  });

  test('the average moves by 0.159 of the difference in a sample period', () => {
    const state = ewmaOf([at(0, 0), at(15, 1)], rules);
    expect(state).toEqual({ value: expect.closeTo(0.1591, 4), previous: 0, atMs: 15_000 });
  });

  test('the average has no previous value after one sample and is null without samples', () => {
    expect(ewmaOf([at(5, 0.3)], rules)).toEqual({ value: 0.3, previous: null, atMs: 5000 });
    expect(ewmaOf([], rules)).toBeNull();
  });

  test('the average ignores late and duplicate samples and restarts when the clock was set back', () => {
    const state = { value: 0.5, previous: 0.4, atMs: 100_000 };
    expect(foldSample(state, at(100, 1), rules)).toBe(state);
    expect(foldSample(state, at(55, 1), rules)).toBe(state);
    expect(foldSample(state, at(54, 1), rules)).toEqual({ value: 1, previous: null, atMs: 54_000 });
  });

  test('the average lies between the lowest and the highest sample in any order', () => {
    const samples = fc.uniqueArray(
      fc.record({ atMs: fc.integer({ min: 0, max: 1e7 }), ratio: fc.double({ min: 0, max: 2, noNaN: true }) }),
      { minLength: 1, maxLength: 40, selector: ({ atMs }) => atMs },
    );
    fc.assert(
      fc.property(samples, (all) => {
        const value = ewmaOf(all, rules)?.value ?? Number.NaN;
        const ratios = all.map(({ ratio }) => ratio);
        expect(value).toBeGreaterThanOrEqual(Math.min(...ratios) - 1e-9);
        expect(value).toBeLessThanOrEqual(Math.max(...ratios) + 1e-9);
        expect(ewmaOf([...all].reverse(), rules)).toEqual(ewmaOf(all, rules));
      }),
    );
  });
});

test.each([
  [0, 'fresh'],
  [45, 'fresh'],
  [45.001, 'stale'],
  [-45.001, 'stale'], // from a clock that runs ahead
  [-10, 'fresh'],
])('a reading of %d s ago is %s', (ageSeconds, expected) => {
  const reading = { value: 0.5, previous: null, atMs: 1e6 - ageSeconds * 1000 };
  expect(freshness(reading, 1e6, rules)).toBe(expected);
});

test('an absent reading is missing, not stale', () => {
  expect(freshness(undefined, 0, rules)).toBe('missing');
});
