import type { Budget } from './exact-search.js';
import type { Option, Problem } from './problem.js';
import { emptySeats, openRoles } from './seating.js';
import { add, canAdd, emptySelection, isCovered } from './selection.js';
import type { Selection } from './selection.js';

/**
 * Searches for any set of members that covers every need after the greedy search has failed, so that a request is
 * refused only when it cannot be met. Branches on the need that the fewest candidates can meet. Of interchangeable
 * candidates, only as many as there are places are tried, cheapest first.
 * @param ceiling members, kept ones included; also the size a hard spread is measured by.
 * @param budget is consumed; the search is complete unless the budget runs out.
 * @returns the options of a cover, or null.
 */
export const coreSearch = (problem: Problem, ceiling: number, budget: Budget): readonly Option[] | null => {
  const places = ceiling - problem.request.kept.length;
  const options = representatives(problem, places);
  const most = Math.max(0, ...options.map((option) => option.provides.length));

  const explore = (path: readonly Option[], banned: ReadonlySet<string>): readonly Option[] | null => {
    if (budget.steps <= 0) return null;
    budget.steps -= 1 + options.length;
    const selection = emptySelection(problem, ceiling);
    for (const option of path) add(selection, option);
    if (isCovered(selection)) return path;
    const left = places - path.length;
    const uncovered = selection.providing.filter((count) => count === 0).length;
    if (uncovered > left * most || emptySeats(selection.seating) > left) return null;
    // Later siblings skip candidates that an earlier branch has already explored.
    const tried = new Set(banned);
    for (const option of narrowest(selection, options, tried)) {
      const found = explore([...path, option], tried);
      if (found) return found;
      tried.add(option.id);
    }
    return null;
  };
  return places > 0 ? explore([], new Set()) : null;
};

/** Candidates for the unmet need that the fewest of them can meet; those that cover most needs come first. */
const narrowest = (selection: Selection, options: readonly Option[], banned: ReadonlySet<string>): Option[] => {
  const usable = options.filter((option) => !banned.has(option.id) && canAdd(selection, option));
  const uncovered = selection.providing.flatMap((count, index) => (count === 0 ? [index] : []));
  const open = openRoles(selection.seating);
  const gain = (option: Option): number =>
    option.provides.filter((index) => selection.providing[index] === 0).length +
    (option.capable.some((role) => open[role]) ? 1 : 0);
  const choices = uncovered.map((index) => usable.filter((option) => option.provides.includes(index)));
  if (emptySeats(selection.seating) > 0) {
    choices.push(usable.filter((option) => option.capable.some((role) => open[role])));
  }
  choices.sort((a, b) => a.length - b.length);
  return (choices[0] ?? []).sort((a, b) => gain(b) - gain(a));
};

/** The cheapest `places` options of each group that meets the same needs (and, under a hard spread, shares a host or zone). */
const representatives = (problem: Problem, places: number): Option[] => {
  const hard = problem.request.spread?.mode === 'hard';
  const count = new Map<string, number>();
  return problem.options.filter((option) => {
    if (option.provides.length === 0 && option.capable.length === 0) return false;
    const likeness = [option.provides.join(), option.capable.join(), hard ? option.group : ''].join(';');
    const known = count.get(likeness) ?? 0;
    count.set(likeness, known + 1);
    return known < places;
  });
};
