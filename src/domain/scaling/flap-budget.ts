import type { ScalingRules } from './rules.js';
import type { Change, Direction } from './types.js';

export interface FlapBudget {
  /** Members that may still join or leave. */
  readonly left: number;
  readonly spent: number;
  /** When the oldest counted change leaves the budget window; `nowMs` when none is counted. */
  readonly freeAtMs: number;
  /** Until when a change in this direction is blocked as a reversal; null when it is allowed. */
  readonly reversalUntilMs: Readonly<Record<Direction, number | null>>;
}

/**
 * The remaining flap budget: 4 members an hour, and one change of direction in 30 min. A change is a reversal when the
 * previous one, less than an hour older, had the other direction. Changes in the future (a clock jumped) count as now.
 * @param changes of the last `budgetSeconds` + `reversalSeconds`: whether a change half an hour ago was a reversal
 * depends on the change before it.
 */
export const flapBudget = (changes: readonly Change[], nowMs: number, rules: ScalingRules): FlapBudget => {
  const budgetMs = rules.budgetSeconds * 1000;
  const known = changes
    .filter(({ cause, members }) => cause !== 'replacement' && members > 0)
    .map((change) => ({ ...change, atMs: Math.min(change.atMs, nowMs) }))
    .sort((a, b) => a.atMs - b.atMs);
  const counted = known.filter(({ atMs }) => atMs > nowMs - budgetMs);
  const spent = counted.reduce((sum, { members }) => sum + members, 0);

  const lastReversal = known.findLast((change, index) => {
    const before = known[index - 1];
    return before !== undefined && before.direction !== change.direction && before.atMs > change.atMs - budgetMs;
  });
  const untilMs = lastReversal ? lastReversal.atMs + rules.reversalSeconds * 1000 : nowMs;
  const last = counted.at(-1)?.direction;
  const until = (direction: Direction): number | null =>
    last !== undefined && last !== direction && untilMs > nowMs ? untilMs : null;
  return {
    left: Math.max(0, rules.budgetChanges - spent),
    spent,
    freeAtMs: (counted[0]?.atMs ?? nowMs - budgetMs) + budgetMs,
    reversalUntilMs: { out: until('out'), in: until('in') },
  };
};
