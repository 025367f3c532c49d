import type { ScalingRules } from './rules.js';
import type { Block, Direction } from './types.js';

/** A change under observation. */
export interface Soak {
  readonly direction: Direction;
  readonly from: number;
  readonly desired: number;
  /** The cluster's minimum size. */
  readonly min: number;
  /** The score before the change; null when unknown. */
  readonly before: number | null;
  /** The scores since the change, oldest first; null when unknown. */
  readonly scores: readonly (number | null)[];
  /** False when no more samples will come; missing samples then count as failed. */
  readonly mayWait: boolean;
  /** Whether the observed change is itself a rollback. */
  readonly rolledBack: boolean;
}

/**
 * - `waiting`: more samples are needed.
 * - `passed`: each of the last samples is at least `passScore`, or at most `passSlack` below the score before.
 * - `roll_back`: it did not pass. The caller returns to size `to`, once, and keeps the block.
 * - `failed`: it did not pass and cannot be rolled back: it is a rollback itself, or `from` is below the minimum.
 */
export type SoakVerdict =
  | { readonly verdict: 'waiting'; readonly samples: number; readonly needed: number }
  | { readonly verdict: 'passed'; readonly why: string }
  | { readonly verdict: 'roll_back'; readonly why: string; readonly to: number; readonly block: Block }
  | { readonly verdict: 'failed'; readonly why: string; readonly block: Block };

/** How long a change is observed before the verdict, in seconds. */
export const soakSeconds = (direction: Direction, rules: ScalingRules): number =>
  direction === 'out' ? rules.soakGrowSeconds : rules.soakShrinkSeconds;

/**
 * Evaluates a change by the stability scores since. An unknown score never passes.
 * @param nowMs start of the block's duration.
 */
export const evaluateSoak = (soak: Soak, nowMs: number, rules: ScalingRules): SoakVerdict => {
  const { before, direction, desired, from } = soak;
  const needed = rules.passSamples;
  const last = soak.scores.slice(-needed);
  if (last.length < needed && soak.mayWait) return { verdict: 'waiting', samples: last.length, needed };

  // The epsilon keeps floating-point rounding from failing a change that kept its score.
  const threshold = Math.min(rules.passScore, before === null ? Infinity : before - rules.passSlack) - 1e-9;
  const scores = `the last scores are ${last.map(scoreText).join(', ') || 'missing'}, the one before was ${scoreText(before)}`;
  if (last.length === needed && last.every((score) => score !== null && score >= threshold)) {
    return { verdict: 'passed', why: scores };
  }
  const allowed = `at least ${rules.passScore}, or at most ${rules.passSlack} below the one before`;
  const why = `${scores}; ${needed} in a row must be ${allowed}`;
  const block = { direction, desired, untilMs: nowMs + rules.blockSeconds * 1000 };
  if (soak.rolledBack || from < soak.min) return { verdict: 'failed', why, block };
  return { verdict: 'roll_back', why, to: from, block };
};

const scoreText = (score: number | null): string => (score === null ? 'unknown' : score.toFixed(3));
