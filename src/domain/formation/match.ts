import { rankAlternates } from './alternates.js';
import { assignRoles } from './assign-roles.js';
import { diagnose, poolGroups, spreadAllows } from './diagnose.js';
import { coreSearch } from './core-search.js';
import { exactLimits, exactSearch } from './exact-search.js';
import type { Budget } from './exact-search.js';
import { prepareProblem } from './problem.js';
import type { Option, Problem } from './problem.js';
import { isCovered } from './selection.js';
import type { Selection } from './selection.js';
import { greedyCover } from './set-cover.js';
import type { Candidate, Match, MatchRequest, Shortfall } from './types.js';

/**
 * Chooses the members of a cluster, or the members to add to the ones it keeps.
 *
 * Hard rules, met by every result without a shortfall: size.min..size.max, every required capability held, every role at its
 * minimum and not above its maximum, hard spread. A member holds at most one of the request's roles and
 * counts for all its capabilities. Kept members keep their roles.
 * Preferences, in this order: as near `size.desired` as the hard rules allow (smaller before larger under a hard spread; larger
 * only where the rules need more members), as many required capabilities as possible held twice, lowest cost.
 *
 * @param candidates eligible agents; their order does not affect the result.
 * @returns `members` are additions only. With a shortfall they are the best set found, which shows what is missing.
 * The choice is exact for at most 20 candidates and 10 members to add, greedy above; a request is refused only after the
 * search found no solution or used up its budget.
 * Source: weighted greedy set cover; costs after Orleans `ResourceOptimizedPlacement`.
 */
export const match = (candidates: readonly Candidate[], request: MatchRequest): Match => {
  const problem = prepareProblem(candidates, request);
  const impossible = diagnose(problem);
  const { chosen, shortfall } =
    impossible.length > 0 ? { chosen: bestEffort(problem).chosen, shortfall: impossible } : choose(problem);
  return {
    members: assignRoles(problem, chosen),
    alternates: rankAlternates(problem, chosen, 2 * request.size.desired),
    shortfall,
  };
};

interface Choice {
  readonly chosen: readonly Option[];
  readonly shortfall: readonly Shortfall[];
}

/** The search budget of one match: at worst some tens of milliseconds. */
const searchSteps = 2_000_000;

const choose = (problem: Problem): Choice => {
  const budget = { steps: searchSteps };
  const tried = attempts(problem);
  for (const attempt of tried) {
    const chosen = isSmall(problem, attempt)
      ? chooseExactly(problem, attempt, budget)
      : chooseGreedily(problem, attempt, budget);
    if (chosen) return { chosen, shortfall: [] };
  }
  const nearest = tried[0] ? greedyCover(problem, tried[0].target, tried[0].ceiling) : bestEffort(problem);
  const room: Shortfall = { kind: 'room', max: problem.request.size.max, unmet: unmet(nearest) };
  return { chosen: nearest.chosen, shortfall: [room] };
};

interface Attempt {
  /** The size aimed at, kept members included. */
  readonly target: number;
  /** The size allowed when the needs require more than `target`. */
  readonly ceiling: number;
}

const isSmall = (problem: Problem, { target }: Attempt): boolean =>
  problem.options.length <= exactLimits.candidates && target - problem.request.kept.length <= exactLimits.members;

const chooseExactly = (problem: Problem, { target, ceiling }: Attempt, budget: Budget): readonly Option[] | null => {
  const greedy = greedyCover(problem, target, ceiling);
  const greedySize = isCovered(greedy) ? problem.request.kept.length + greedy.chosen.length : Infinity;
  for (let size = target; size <= Math.min(ceiling, greedySize); size += 1) {
    const found = exactSearch(problem, size, size === greedySize ? greedy.chosen : null, budget);
    if (found) return orderByNeed(problem, found);
  }
  return Number.isFinite(greedySize) ? greedy.chosen : null;
};

const chooseGreedily = (problem: Problem, { target, ceiling }: Attempt, budget: Budget): readonly Option[] | null => {
  const greedy = greedyCover(problem, target, ceiling);
  if (isCovered(greedy)) return greedy.chosen;
  const core = coreSearch(problem, ceiling, budget);
  return (
    core && greedyCover(problem, Math.max(target, problem.request.kept.length + core.length), ceiling, core).chosen
  );
};

/** A search returns a set; a greedy pass over that set alone orders its members by need. */
const orderByNeed = (problem: Problem, chosen: readonly Option[]): readonly Option[] => {
  const ids = new Set(chosen.map(({ id }) => id));
  const size = problem.request.kept.length + chosen.length;
  const alone = { ...problem, options: problem.options.filter(({ id }) => ids.has(id)) };
  const ordered = greedyCover(alone, size, size).chosen;
  return ordered.length === chosen.length ? ordered : chosen;
};

/** The sizes to try, best first. Without a hard spread one attempt is enough, since a cover may grow to the maximum. */
const attempts = (problem: Problem): Attempt[] => {
  const { size, kept, spread } = problem.request;
  const largest = Math.min(size.max, kept.length + problem.options.length);
  const smallest = Math.max(size.min, kept.length);
  const desired = Math.min(Math.max(size.desired, smallest), largest);
  if (spread?.mode !== 'hard') return [{ target: desired, ceiling: largest }];
  const groups = poolGroups(problem);
  const sizes: number[] = [];
  for (let n = desired; n >= smallest; n -= 1) sizes.push(n);
  for (let n = desired + 1; n <= largest; n += 1) sizes.push(n);
  return sizes.filter((n) => spreadAllows(problem, groups, n)).map((n) => ({ target: n, ceiling: n }));
};

const bestEffort = (problem: Problem): Selection => {
  const { size, kept } = problem.request;
  const ceiling = Math.max(size.max, kept.length);
  const target = Math.min(Math.max(size.desired, kept.length), ceiling);
  return greedyCover(problem, target, problem.request.spread?.mode === 'hard' ? target : ceiling);
};

const unmet = (selection: Selection): string[] => {
  const { capabilities, request } = selection.problem;
  return [
    ...capabilities.filter((_, index) => selection.providing[index] === 0),
    ...request.roles.filter((_, index) => (selection.seating.free[index] ?? 0) > 0).map((role) => role.name),
  ];
};
