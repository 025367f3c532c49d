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
    const next = best(
      selection,
      (option) => held(selection, option, 0) + (option.capable.some((r) => open[r]) ? 1 : 0),
    );
    if (!next) break;
    add(selection, next);
  }
  while (size() < target) {
    const next = best(selection, (option) => held(selection, option, 1));
    if (!next) break;
    add(selection, next);
  }
  while (size() < target) {
    const next = best(selection, () => 1);
    if (!next) break;
    add(selection, next);
  }
  return selection;
};

/** Required capabilities an option would bring that at most `already` members hold. */
const held = (selection: Selection, option: Option, already: number): number => {
  let count = 0;
  for (const capability of option.provides) if ((selection.providing[capability] ?? 0) <= already) count += 1;
  return count;
};

/** The option of most gain per price; the options' own order settles ties. */
const best = (selection: Selection, gainOf: (option: Option) => number): Option | null => {
  let winner: Option | null = null;
  let winnerGain = 0;
  let winnerPrice = 1;
  for (const option of selection.problem.options) {
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
