import type { FlapBudget } from './flap-budget.js';
import type { ScalingRules } from './rules.js';
import type { Block, Clamp, ClusterFacts, Decision, Direction, Formula, Usage, Veto } from './types.js';

/** The input of growing and shrinking: the facts, what was measured, and the size aimed for. */
export interface ScalingTarget {
  readonly facts: ClusterFacts;
  readonly rules: ScalingRules;
  readonly usage: Usage;
  readonly formula: Formula;
  readonly budget: FlapBudget;
  readonly because: Decision['because'];
  readonly wished: number;
}

/** The result of growing or shrinking. */
export type Outcome = Pick<Decision, 'desired' | 'charged' | 'victims' | 'after' | 'clamps' | 'vetoes'>;

export const unchanged = (present: number, vetoes: readonly Veto[], clamps: readonly Clamp[] = []): Outcome => ({
  desired: present,
  charged: 0,
  victims: [],
  after: null,
  clamps,
  vetoes,
});

/**
 * The block that applies to a size. Growing is blocked to exactly the size that failed, since another size is another
 * recommendation. Shrinking is blocked to that size and below, since fewer members would fail as well.
 */
export const matchingBlock = (
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
