import { microsPerCost } from './cost.js';
import type { Option, Problem } from './problem.js';
import { openRoles } from './seating.js';
import { add, canAdd, emptySelection, isCovered, marginalMicros } from './selection.js';
import type { Selection } from './selection.js';

/**
 * Chooses members greedily in three passes: cover every required capability and role minimum, hold each required
 * capability twice, fill up. A pass repeats the choice of the most gain per price, where the price is the agent's
 * cost plus 1 for the seat it takes: seats are scarce too, and free agents must not win by dividing by zero.
 * @param target members aimed at, kept ones included; the second and third pass stop there.
 * @param ceiling members the first pass may go up to, >= `target`.
 * @param first options taken before the passes begin.
 * @returns the selection; `isCovered` tells whether the first pass reached its end.
 * Source: weighted greedy set cover (Chvatal 1979), at most H(k) times the cheapest cover, k the most one agent covers.
 */
export const greedyCover = (
  problem: Problem,
  target: number,
  ceiling: number,
  first: readonly Option[] = [],
): Selection => {
  const selection = emptySelection(problem, ceiling);
  const kept = problem.request.kept.length;
  const size = (): number => kept + selection.chosen.length;
  for (const option of first) add(selection, option);

  while (size() < ceiling && !isCovered(selection)) {
    const open = openRoles(selection.seating);
    const most = heldAtMost(selection, 0) + 1;
    const next = best(
      selection,
      most,
      (option) => brings(selection, option, 0) + (option.capable.some((role) => open[role]) ? 1 : 0),
    );
    if (!next) break;
    add(selection, next);
  }
  while (size() < target) {
    const next = best(selection, heldAtMost(selection, 1), (option) => brings(selection, option, 1));
    if (!next) break;
    add(selection, next);
  }
  while (size() < target) {
    const next = best(selection, 1, () => 1);
    if (!next) break;
    add(selection, next);
  }
  return selection;
};

/** Required capabilities that at most `count` members hold. */
const heldAtMost = (selection: Selection, count: number): number =>
  selection.providing.filter((held) => held <= count).length;

/** Required capabilities an option would bring of those that at most `count` members hold. */
const brings = (selection: Selection, option: Option, count: number): number => {
  let gain = 0;
  for (const capability of option.provides) if ((selection.providing[capability] ?? 0) <= count) gain += 1;
  return gain;
};

/**
 * The option of most gain per price; the options' own order settles ties.
 * @param most no option gains more: options come by cost, so the search ends where even that would be too little.
 */
const best = (selection: Selection, most: number, gainOf: (option: Option) => number): Option | null => {
  let winner: Option | null = null;
  let winnerGain = 0;
  let winnerPrice = 1;
  for (const option of selection.problem.options) {
    if (winner !== null && most * winnerPrice <= winnerGain * (microsPerCost + option.costMicros)) break;
    if (!canAdd(selection, option)) continue;
    const gain = gainOf(option);
    if (gain === 0) continue;
    const price = microsPerCost + marginalMicros(selection, option);
    if (winner === null || gain * winnerPrice > winnerGain * price) {
      winner = option;
      winnerGain = gain;
      winnerPrice = price;
    }
  }
  return winner;
};
