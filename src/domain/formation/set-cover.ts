import { microsPerCost } from './cost.js';
import type { Option, Problem } from './problem.js';
import { openRoles } from './seating.js';
import { add, canAdd, emptySelection, isCovered, marginalMicros } from './selection.js';
import type { Selection } from './selection.js';

/**
 * Chooses members greedily in three passes: cover every required capability and role minimum, hold each required
 * capability twice, fill up to the target. Each pass picks the agent with the highest gain per price. The price is the
 * agent's cost plus 1 for the place it takes, so that an idle agent does not win by a division by zero.
 * @param target the size aimed at, kept members included; the second and third pass stop there.
 * @param ceiling the size the first pass may reach, >= `target`.
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
    const most = countHeldAtMost(selection, 0) + 1;
    const next = bestOption(
      selection,
      most,
      (option) => gainOf(selection, option, 0) + (option.capable.some((role) => open[role]) ? 1 : 0),
    );
    if (!next) break;
    add(selection, next);
  }
  while (size() < target) {
    const next = bestOption(selection, countHeldAtMost(selection, 1), (option) => gainOf(selection, option, 1));
    if (!next) break;
    add(selection, next);
  }
  while (size() < target) {
    const next = bestOption(selection, 1, () => 1);
    if (!next) break;
    add(selection, next);
  }
  return selection;
};

/** Required capabilities that at most `count` members hold. */
const countHeldAtMost = (selection: Selection, count: number): number =>
  selection.providing.filter((held) => held <= count).length;

/** How many of the required capabilities that at most `count` members hold this option would add. */
const gainOf = (selection: Selection, option: Option, count: number): number => {
  let gain = 0;
  for (const capability of option.provides) if ((selection.providing[capability] ?? 0) <= count) gain += 1;
  return gain;
};

/**
 * The option with the highest gain per price; ties go to the earlier option.
 * @param most an upper bound of the gain. Options are sorted by cost, so the search stops once this bound cannot win.
 */
const bestOption = (selection: Selection, most: number, gainOf: (option: Option) => number): Option | null => {
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
