import type { ScalingRules } from './rules.js';
import type { Block, Direction } from './types.js';

/** A change that is being watched. */
export interface Soak {
  readonly direction: Direction;
  readonly from: number;
  readonly desired: number;
  /** The cluster's minimum size. */
  readonly min: number;
  /** The score before the change; null when it was not known. */
  readonly before: number | null;
  /** The scores since, oldest first; null where not known. */
  readonly scores: readonly (number | null)[];
  /** False once waiting for more samples is no longer worth it: what is missing then counts as failed. */
  readonly mayWait: boolean;
  /** True when this is itself the rollback. */
  readonly rolledBack: boolean;
}

/**
 * - `waiting`: too few samples yet.
 * - `passed`: each of the last samples is at least `passScore`, or at most `passSlack` below the score before.
 * - `roll_back`: it did not; go back to `to`, once, and keep the block.
 * - `failed`: it did not, and there is no way back: it is the rollback, or `from` is below the minimum.
 */
export type SoakVerdict =
  | { readonly verdict: 'waiting'; readonly samples: number; readonly needed: number }
  | { readonly verdict: 'passed'; readonly why: string }
  | { readonly verdict: 'roll_back'; readonly why: string; readonly to: number; readonly block: Block }
  | { readonly verdict: 'failed'; readonly why: string; readonly block: Block };

/** How long a change is watched before it is judged, seconds. */
export const soakSeconds = (direction: Direction, rules: ScalingRules): number =>
  direction === 'out' ? rules.soakGrowSeconds : rules.soakShrinkSeconds;

/**
 * Judges a change by the stability scores since. An unknown score never passes.
 * @param nowMs what a block's time is counted from.
 */
export const evaluateSoak = (soak: Soak, nowMs: number, rules: ScalingRules): SoakVerdict => {
  const { before, direction, desired, from } = soak;
  const needed = rules.passSamples;
  const last = soak.scores.slice(-needed);
  if (last.length < needed && soak.mayWait) return { verdict: 'waiting', samples: last.length, needed };

  // A hair of rounding must not fail a change that kept its score to the last decimal.
  const bar = Math.min(rules.passScore, before === null ? Infinity : before - rules.passSlack) - 1e-9;
  const told = `the last scores are ${last.map(scoreText).join(', ') || 'missing'}, the one before was ${scoreText(before)}`;
  if (last.length === needed && last.every((score) => score !== null && score >= bar)) {
    return { verdict: 'passed', why: told };
  }
  const allowed = `at least ${rules.passScore}, or at most ${rules.passSlack} below the one before`;
  const why = `${told}; ${needed} in a row must be ${allowed}`;
  const block = { direction, desired, untilMs: nowMs + rules.blockSeconds * 1000 };
  if (soak.rolledBack || from < soak.min) return { verdict: 'failed', why, block };
  return { verdict: 'roll_back', why, to: from, block };
};

const scoreText = (score: number | null): string => (score === null ? 'unknown' : score.toFixed(3));
