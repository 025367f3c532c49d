import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bucketOf,
  emptyHistogram,
  latencyBucketsMs,
  quantileMs,
  shareWithin,
} from '../../../src/domain/communication/latency.js';

const histogramOf = (samples: readonly number[]): number[] => {
  const counts = emptyHistogram();
  for (const ms of samples) counts[bucketOf(ms)] = (counts[bucketOf(ms)] ?? 0) + 1;
  return counts;
};
const last = latencyBucketsMs.at(-1) ?? 0;
const lowerOf = (bucket: number): number => latencyBucketsMs[bucket - 1] ?? 0;
const upperOf = (bucket: number): number => latencyBucketsMs[bucket] ?? last;
const samples = fc.array(
  fc.oneof(
    fc.double({ min: 0, max: 50, noNaN: true }),
    fc.nat(2000),
    fc.nat(2 * last),
    fc.constantFrom(...latencyBucketsMs),
  ),
  { minLength: 1, maxLength: 80 },
);

describe('latency buckets', () => {
  it('bucket bounds increase and are inclusive', () => {
    expect([...latencyBucketsMs].sort((a, b) => a - b)).toEqual([...latencyBucketsMs]);
    expect(emptyHistogram()).toHaveLength(latencyBucketsMs.length + 1);
    expect([0, 1, 1.001, 2, last, last + 1].map(bucketOf)).toEqual([
      0,
      0,
      1,
      1,
      latencyBucketsMs.length - 1,
      latencyBucketsMs.length,
    ]);
  });
});

describe('quantileMs', () => {
  it('quantileMs matches a hand calculation for two buckets of ten', () => {
    const counts = histogramOf([...new Array<number>(10).fill(12), ...new Array<number>(10).fill(80)]);
    expect([0, 0.25, 0.5, 0.75, 1].map((q) => quantileMs(counts, q))).toEqual([10, 12.5, 15, 85, 100]);
  });

  it('a quantile is null without observations and the last bound beyond it', () => {
    expect(quantileMs(emptyHistogram(), 0.5)).toBeNull();
    expect(quantileMs([], 0.5)).toBeNull();
    expect(quantileMs(histogramOf([last + 1, 10 * last]), 0.5)).toBe(last);
  });

  it('a quantile lies in the bucket of the true quantile', () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 0.001, max: 1, noNaN: true }), (all, q) => {
        const sorted = [...all].sort((a, b) => a - b);
        // A rank that falls on a whole number may come out on either side of it.
        const bucketAt = (rank: number) =>
          bucketOf(sorted[Math.min(all.length, Math.max(1, Math.ceil(rank))) - 1] ?? 0);
        const value = quantileMs(histogramOf(all), q) ?? NaN;
        expect(value).toBeGreaterThanOrEqual(Math.min(lowerOf(bucketAt(q * all.length - 1e-9)), last));
        expect(value).toBeLessThanOrEqual(upperOf(bucketAt(q * all.length + 1e-9)));
      }),
      { numRuns: 500 },
    );
  });

  it('a higher quantile is never lower', () => {
    const ratio = fc.double({ min: 0, max: 1, noNaN: true });
    fc.assert(
      fc.property(samples, ratio, ratio, (all, a, b) => {
        const counts = histogramOf(all);
        expect(quantileMs(counts, Math.min(a, b))).toBeLessThanOrEqual(quantileMs(counts, Math.max(a, b)) ?? NaN);
      }),
    );
  });
});

describe('shareWithin', () => {
  it('shareWithin counts half of a bucket for a bound at its middle', () => {
    const counts = histogramOf([1, 12, 12, 12, 12, 80, last + 1, last + 1]);
    expect(shareWithin(counts, 15)).toBe(5 / 8);
    expect(shareWithin(counts, 12.5)).toBe(3 / 8);
    expect(shareWithin(counts, 1_000_000_000)).toBe(6 / 8);
    expect(shareWithin(emptyHistogram(), 15)).toBeNull();
  });

  it('shareWithin is exact at bucket bounds and between its neighbours elsewhere', () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 0, max: last, noNaN: true }), (all, bound) => {
        const counts = histogramOf(all);
        const exact = (ms: number) => all.filter((each) => each <= ms).length / all.length;
        const bucket = bucketOf(bound);
        expect(shareWithin(counts, upperOf(bucket))).toBeCloseTo(exact(upperOf(bucket)), 12);
        const share = shareWithin(counts, bound) ?? NaN;
        expect(share).toBeGreaterThanOrEqual((bucket === 0 ? 0 : exact(lowerOf(bucket))) - 1e-12);
        expect(share).toBeLessThanOrEqual(exact(upperOf(bucket)) + 1e-12);
      }),
      { numRuns: 500 },
    );
  });

  it('shareWithin is the inverse of quantileMs', () => {
    fc.assert(
      fc.property(samples, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (all, q) => {
        const within = all.filter((ms) => ms <= last);
        fc.pre(within.length > 0);
        const counts = histogramOf(within);
        expect(shareWithin(counts, quantileMs(counts, q) ?? NaN)).toBeGreaterThanOrEqual(q - 1e-9);
      }),
    );
  });
});
