import type { FlapBudget } from './flap-budget.js';
import type { ScalingRules } from './rules.js';
import type { Clamp, ClusterFacts, Decision, Direction, Formula, Usage, Veto } from './types.js';

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

/** Vetoes of the flap budget against any change in a direction. */
export const budgetVetoes = (budget: FlapBudget, direction: Direction): Veto[] => {
  const untilMs = budget.reversalUntilMs[direction];
  return [
    ...(untilMs === null ? [] : [{ by: 'reversal', untilMs } as const]),
    ...(budget.left > 0 ? [] : [{ by: 'flap_budget', spent: budget.spent, untilMs: budget.freeAtMs } as const]),
  ];
};

/**
 * The blocks that apply to a size. Growing is blocked to exactly the size that failed, since another size is another
 * recommendation. Shrinking is blocked to that size and below, since fewer members would fail as well.
 */
export const blockVetoes = ({ blocks, nowMs }: ClusterFacts, direction: Direction, size: number): Veto[] =>
  blocks
    .filter((block) => block.untilMs > nowMs && block.direction === direction)
    .filter(({ desired }) => (direction === 'out' ? size === desired : size <= desired))
    .map(({ desired, untilMs }): Veto => ({ by: 'blocked', desired, untilMs }))
    .slice(0, 1);
