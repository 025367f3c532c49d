import type { FlapBudget } from './flap-budget.js';
import type { ScalingRules } from './rules.js';
import type { Block, Clamp, ClusterFacts, Decision, Direction, Formula, Usage, Veto } from './types.js';

/** What growing and shrinking are decided on. */
export interface Wish {
  readonly facts: ClusterFacts;
  readonly rules: ScalingRules;
  readonly usage: Usage;
  readonly formula: Formula;
  readonly budget: FlapBudget;
  readonly because: Decision['because'];
  readonly wished: number;
}

/** What became of a wish. */
export type Outcome = Pick<Decision, 'desired' | 'charged' | 'victims' | 'after' | 'clamps' | 'vetoes'>;

export const vetoed = (present: number, vetoes: readonly Veto[], clamps: readonly Clamp[] = []): Outcome => ({
  desired: present,
  charged: 0,
  victims: [],
  after: null,
  clamps,
  vetoes,
});

/**
 * The block that a size runs into: growing to exactly the size that failed (more or less than it is another
 * recommendation), shrinking to it or further (what was too few once is not enough with fewer still).
 */
export const blockOf = (
  blocks: readonly Block[],
  direction: Direction,
  desired: number,
  nowMs: number,
): Block | undefined =>
  blocks.find(
    (block) =>
      block.untilMs > nowMs &&
      block.direction === direction &&
      (direction === 'out' ? desired === block.desired : desired <= block.desired),
  );
