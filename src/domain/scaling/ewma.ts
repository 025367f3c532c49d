import type { ScalingRules } from './rules.js';

/** A usage ratio at a time. */
export interface Sample {
  readonly atMs: number;
  readonly ratio: number;
}

/** A smoothed ratio, small enough to store in the agent's row, so that an assessment reads no samples. */
export interface Ewma {
  readonly value: number;
  /** The value one sample earlier; null when there has been only one. */
  readonly previous: number | null;
  /** Of the newest sample. */
  readonly atMs: number;
}

/**
 * Ratios above 2 count as 2: a round at most doubles a cluster, so a higher ratio would not change a decision, while one
 * absurd report would outweigh minutes of correct ones.
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
 * Adds a sample to the average. A sample that follows the previous one after Δ seconds has the weight
 * 1 - 2^(-Δ/half-life), so that irregular sampling does not distort the average. A sample that is late by less than the
 * stale limit is ignored; an older one means that the clock was set back, and the average starts over.
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
 * Classifies a reading by age. `stale`: older than `staleAfterPeriods` sample periods, or that far in the future, which
 * means that a clock jumped.
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
