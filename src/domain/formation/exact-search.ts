import { sameGroupMicros } from './cost.js';
import type { Option, Problem } from './problem.js';
import { emptySeating, seat } from './seating.js';
import { scoreOf } from './selection.js';
import type { Score } from './selection.js';
import { allowedPerGroup } from './spread.js';

/** The exact search is for at most this many candidates, and this many members to add. */
export const exactLimits = { candidates: 20, members: 10 } as const;

/** Search steps left, shared by all searches of one match. A bound on work instead of time keeps results deterministic. */
export interface Budget {
  steps: number;
}

/**
 * The best members for a cluster of exactly `size`: fewest required capabilities held only once, then lowest cost.
 * Branch and bound over the candidates in order of cost. A branch is pruned when it cannot cover every need, cannot
 * reach the size, or cannot beat the best choice so far even with its cheapest completion.
 * @param problem at most 20 options (its sets of candidates are 32-bit masks).
 * @param size members, kept ones included.
 * @param incumbent a feasible choice of that size to be beaten, for instance the greedy one.
 * @param budget is consumed; when it runs out, the best choice so far is returned.
 * @returns null when no choice of this size is feasible. Equal to `incumbent` when nothing beats it.
 * Source: branch and bound (Land, Doig 1960).
 */
export const exactSearch = (
  problem: Problem,
  size: number,
  incumbent: readonly Option[] | null,
  budget: Budget,
): readonly Option[] | null => {
  const { options, request, seatsNeeded } = problem;
  const wanted = size - request.kept.length;
  if (wanted < 0 || wanted > options.length) return null;
  const limit = request.spread?.mode === 'hard' ? allowedPerGroup(size) : Infinity;
  const bounds = prepareBounds(problem);
  const stepCost = 1 + bounds.holders.length + bounds.capable.length;

  let best: readonly Option[] | null = incumbent;
  let bestScore: Score | null = incumbent && scoreOf(problem, incumbent);
  const chosen: Option[] = [];
  const inGroup = [...problem.keptInGroup];

  const explore = (index: number, mask: number, costMicros: number): void => {
    if (budget.steps <= 0) return;
    budget.steps -= stepCost;
    const possible = boundOf(problem, bounds, { index, mask, costMicros, slots: wanted - chosen.length });
    if (!possible || (bestScore && !isBetter(possible, bestScore))) return;
    if (chosen.length === wanted) {
      if (!fillsSeats(seatsNeeded, chosen)) return;
      best = [...chosen];
      bestScore = possible;
      return;
    }
    const option = options[index];
    if (!option) return;
    const sharing = inGroup[option.group] ?? 0;
    if (sharing < limit) {
      chosen.push(option);
      if (option.group >= 0) inGroup[option.group] = sharing + 1;
      explore(index + 1, mask | (1 << index), costMicros + option.costMicros + sameGroupMicros * sharing);
      if (option.group >= 0) inGroup[option.group] = sharing;
      chosen.pop();
    }
    explore(index + 1, mask, costMicros);
  };
  explore(0, 0, 0);
  return best;
};

interface Bounds {
  /** For each required capability, the set of options that have it. */
  readonly holders: readonly number[];
  /** For each role, the set of options that can hold it. */
  readonly capable: readonly number[];
  /** Prefix sums of the options' costs. */
  readonly cheapest: readonly number[];
  /** At each index, the most required capabilities that one option from there on has. */
  readonly mostProvided: readonly number[];
}

const prepareBounds = ({ options, capabilities, seatsNeeded }: Problem): Bounds => ({
  holders: capabilities.map((_, index) => maskOf(options, (option) => option.provides.includes(index))),
  capable: seatsNeeded.map((_, index) => maskOf(options, (option) => option.capable.includes(index))),
  cheapest: prefixSums(options),
  mostProvided: suffixMax(options),
});

/** An upper bound on the score of a branch's best completion, or null when no completion is feasible. */
const boundOf = (
  { options, keptProviding, seatsNeeded }: Problem,
  { holders, capable, cheapest, mostProvided }: Bounds,
  branch: { readonly index: number; readonly mask: number; readonly costMicros: number; readonly slots: number },
): Score | null => {
  const { index, mask, costMicros, slots } = branch;
  if (options.length - index < slots) return null;
  const reach = mask | (slots > 0 ? (1 << options.length) - (1 << index) : 0);
  let heldOnce = 0;
  let lacking = 0;
  let uncovered = 0;
  for (const [capability, holding] of holders.entries()) {
    const kept = keptProviding[capability] ?? 0;
    const most = kept + bits(holding & reach);
    if (most === 0) return null;
    if (most === 1) heldOnce += 1;
    const now = kept + bits(holding & mask);
    if (now === 0) uncovered += 1;
    lacking += Math.max(0, 2 - now);
  }
  const gain = slots * (mostProvided[index] ?? 0);
  if (uncovered > gain) return null;
  for (const [role, able] of capable.entries()) if (bits(able & reach) < (seatsNeeded[role] ?? 0)) return null;
  const cheapestRest = (cheapest[index + slots] ?? 0) - (cheapest[index] ?? 0);
  return { heldOnce: Math.max(heldOnce, lacking - gain), costMicros: costMicros + cheapestRest };
};

export const isBetter = (a: Score, b: Score): boolean =>
  a.heldOnce < b.heldOnce || (a.heldOnce === b.heldOnce && a.costMicros < b.costMicros);

const fillsSeats = (needs: readonly number[], chosen: readonly Option[]): boolean => {
  const seating = emptySeating(needs);
  for (const [member, option] of chosen.entries()) seat(seating, member, option.capable);
  return seating.free.every((count) => count === 0);
};

const maskOf = (options: readonly Option[], has: (option: Option) => boolean): number =>
  options.reduce((mask, option, index) => (has(option) ? mask | (1 << index) : mask), 0);

/** Set bits of a 32-bit number. Source: Warren, Hacker's Delight, population count. */
const bits = (mask: number): number => {
  let n = mask - ((mask >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
};

const prefixSums = (options: readonly Option[]): number[] => {
  const sums = [0];
  for (const option of options) sums.push((sums.at(-1) ?? 0) + option.costMicros);
  return sums;
};

const suffixMax = (options: readonly Option[]): number[] => {
  const most = new Array<number>(options.length + 1).fill(0);
  for (let index = options.length - 1; index >= 0; index -= 1) {
    most[index] = Math.max(most[index + 1] ?? 0, options[index]?.provides.length ?? 0);
  }
  return most;
};
