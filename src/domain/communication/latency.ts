/** Upper bounds of the latency histogram's buckets, in ms. One more bucket holds everything above the last bound. */
export const latencyBucketsMs = [
  1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200, 300, 500, 700, 1_000, 1_500, 2_000, 3_000, 5_000, 10_000,
  20_000, 30_000, 60_000, 120_000, 300_000, 600_000,
] as const;

export const emptyHistogram = (): number[] => new Array<number>(latencyBucketsMs.length + 1).fill(0);

export const bucketOf = (ms: number): number => {
  const index = latencyBucketsMs.findIndex((bound) => ms <= bound);
  return index < 0 ? latencyBucketsMs.length : index;
};

/**
 * Estimates a quantile by linear interpolation inside a bucket.
 * @param counts per bucket.
 * @param q 0 to 1.
 * @returns ms; the last bound when the quantile lies above it; null for an empty histogram.
 * Source: Prometheus, `histogram_quantile`.
 */
export function quantileMs(counts: readonly number[], q: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let left = q * total;
  for (const [index, count] of counts.entries()) {
    const upper = latencyBucketsMs[index];
    if (upper === undefined) break;
    if (count > 0 && left <= count) {
      const lower = latencyBucketsMs[index - 1] ?? 0;
      return lower + (upper - lower) * (left / count);
    }
    left -= count;
  }
  return latencyBucketsMs.at(-1) ?? null;
}

/** The share of observations at or below a bound, 0 to 1, interpolated linearly; null for an empty histogram. */
export function shareWithin(counts: readonly number[], boundMs: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total === 0) return null;
  let within = 0;
  for (const [index, count] of counts.entries()) {
    const lower = latencyBucketsMs[index - 1] ?? 0;
    const upper = latencyBucketsMs[index] ?? Infinity;
    if (upper <= boundMs) within += count;
    else if (lower < boundMs && upper !== Infinity) within += count * ((boundMs - lower) / (upper - lower));
  }
  return within / total;
}
