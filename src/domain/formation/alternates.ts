import type { Option, Problem } from './problem.js';

/**
 * Ranks the alternates that replace members which decline or are lost. Alternates are ranked by cost, in rounds: each
 * round covers every required capability and role that an unchosen agent can serve, so that the list stays diverse.
 * @param limit the maximum number of alternates.
 * @returns agent ids, best first.
 */
export const rankAlternates = (problem: Problem, chosen: readonly Option[], limit: number): string[] => {
  const out = new Set(chosen.map(({ id }) => id));
  const ranked: string[] = [];
  const total = Math.min(limit, problem.options.length - out.size);
  while (ranked.length < total) {
    const offered = new Set<number>();
    const all = problem.capabilities.length + problem.request.roles.length;
    let isFirst = true;
    for (const option of problem.options) {
      if (ranked.length === total || (!isFirst && offered.size === all)) break;
      if (out.has(option.id)) continue;
      const before = offered.size;
      for (const index of option.provides) offered.add(index);
      for (const index of option.capable) offered.add(problem.capabilities.length + index);
      if (!isFirst && offered.size === before) continue;
      isFirst = false;
      out.add(option.id);
      ranked.push(option.id);
    }
  }
  return ranked;
};
