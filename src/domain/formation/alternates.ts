import type { Option, Problem } from './problem.js';

/**
 * Ranks who stands in for a member that declines or is lost: by cost, but in rounds of which each first offers every
 * required capability and role that somebody left over can still serve, so that the list is never all of one kind.
 * @param limit how many at most.
 * @returns agent ids, best first.
 */
export const rankAlternates = (problem: Problem, chosen: readonly Option[], limit: number): string[] => {
  const left = new Map(problem.options.map((option) => [option.id, option]));
  for (const { id } of chosen) left.delete(id);
  const ranked: string[] = [];
  while (ranked.length < limit && left.size > 0) {
    const round = new Set<string>();
    const offered = new Set<string>();
    for (const option of left.values()) {
      if (ranked.length + round.size >= limit) break;
      const skills = skillsOf(option);
      if (round.size > 0 && !skills.some((skill) => !offered.has(skill))) continue;
      round.add(option.id);
      for (const skill of skills) offered.add(skill);
    }
    for (const id of round) {
      ranked.push(id);
      left.delete(id);
    }
  }
  return ranked;
};

const skillsOf = (option: Option): string[] => [
  ...option.provides.map((index) => `capability ${index}`),
  ...option.capable.map((index) => `role ${index}`),
];
