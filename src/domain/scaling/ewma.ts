import type { ScalingRules } from './rules.js';

/** A usage ratio at a time. */
export interface Sample {
  readonly atMs: number;
  readonly ratio: number;
}

/** A smoothed ratio: small enough to be kept in a row, so that an assessment reads no samples. */
export interface Ewma {
  readonly value: number;
  /** The value one sample earlier; null when there has been only one. */
  readonly previous: number | null;
  /** Of the newest sample. */
  readonly atMs: number;
}

/**
 * More than twice its capacity counts as twice: growth is bounded by doubling, so more would change no decision, while
 * one absurd report would outweigh minutes of true ones.
 */
export const highestRatio = 2;

/**
 * Used over capacity.
 * @returns 0 to `highestRatio`; null when the amounts say nothing: not finite, negative, or no capacity.
 */
export const usageRatio = (used: number, capacity: number): number | null => {
  if (!Number.isFinite(used) || !Number.isFinite(capacity) || used < 0 || capacity <= 0) return null;
  return Math.min(highestRatio, used / capacity);
};

/**
 * Takes a sample into the average: a sample that comes Δ seconds after the one before weighs 1 - 2^(-Δ/half-life), so
 * that irregular sampling does not bend it. A late sample (by less than what makes a reading stale) changes nothing; one
 * that is older still means that the clock was set back, and the average begins anew.
 * Source: exponential smoothing of unevenly spaced series, Eckner, "Algorithms for Unevenly Spaced Time Series", 2019.
 */
export const foldSample = (
  state: Ewma | null,
  { atMs, ratio }: Sample,
  rules: Pick<ScalingRules, 'halfLifeSeconds' | 'samplePeriodSeconds' | 'staleAfterPeriods'>,
): Ewma => {
  if (state === null || atMs < state.atMs - staleAfterMs(rules)) return { value: ratio, previous: null, atMs };
  if (atMs <= state.atMs) return state;
  const kept = 2 ** (-(atMs - state.atMs) / 1000 / rules.halfLifeSeconds);
  return { value: state.value * kept + ratio * (1 - kept), previous: state.value, atMs };
};

/**
 * The average of samples in any order.
 * @returns null when there are none.
 */
export const ewmaOf = (samples: readonly Sample[], rules: ScalingRules): Ewma | null =>
  [...samples]
    .sort((a, b) => a.atMs - b.atMs)
    .reduce<Ewma | null>((state, sample) => foldSample(state, sample, rules), null);

/**
 * What a reading is worth now. `stale`: nothing new for more than three sample periods, or it lies that far in the
 * future, which says that a clock jumped.
 */
export const freshness = (
  reading: Ewma | undefined,
  nowMs: number,
  rules: Pick<ScalingRules, 'samplePeriodSeconds' | 'staleAfterPeriods'>,
): 'fresh' | 'stale' | 'missing' => {
  if (reading === undefined) return 'missing';
  return Math.abs(nowMs - reading.atMs) > staleAfterMs(rules) ? 'stale' : 'fresh';
};

const staleAfterMs = (rules: Pick<ScalingRules, 'samplePeriodSeconds' | 'staleAfterPeriods'>): number =>
  rules.staleAfterPeriods * rules.samplePeriodSeconds * 1000;
