import type { Problem } from './problem.js';
import { allowedPerGroup, placeable } from './spread.js';
import type { Shortfall } from './types.js';

/** Group sizes over kept members and usable candidates. */
export const poolGroups = (problem: Problem): number[] => {
  const sizes = [...problem.keptInGroup];
  for (const { group } of problem.options) if (group >= 0) sizes[group] = (sizes[group] ?? 0) + 1;
  return sizes;
};

/** Whether a hard spread can place exactly `size` members; true where there is none. */
export const spreadAllows = (problem: Problem, groups: readonly number[], size: number): boolean =>
  problem.request.spread?.mode !== 'hard' ||
  (placeable(groups, size) >= size && problem.keptInGroup.every((count) => count <= allowedPerGroup(size)));

/**
 * Finds needs that no choice of members can meet: each need is checked on its own against all candidates.
 * @returns empty when each need can be met on its own. All of them together may still not fit.
 */
export const diagnose = (problem: Problem): Shortfall[] => {
  const { request, options } = problem;
  const { size, roles, spread, kept } = request;
  const shortfall: Shortfall[] = [];
  const pool = kept.length + options.length;
  const eligible = pool + problem.unknown;
  if (eligible < size.min || kept.length > size.max) {
    const found = kept.length > size.max ? kept.length : eligible;
    shortfall.push({ kind: 'size', min: size.min, max: size.max, found });
  }
  for (const [index, capability] of problem.capabilities.entries()) {
    const found = problem.keptProviding[index] ?? 0;
    if (found === 0 && !options.some((option) => option.provides.includes(index))) {
      shortfall.push({ kind: 'capability', capability, found: 0 });
    }
  }
  for (const [index, { name, capability, min, max }] of roles.entries()) {
    const held = problem.keptInRole[index] ?? 0;
    const found = held + options.filter((option) => option.capable.includes(index)).length;
    if (found < min || held > max) {
      shortfall.push({ kind: 'role', role: name, capability, min, max, found: held > max ? held : found });
    }
  }
  if (spread?.mode === 'hard' && eligible >= size.min && kept.length <= size.max) {
    const groups = poolGroups(problem);
    const smallest = Math.max(size.min, kept.length);
    const last = Math.min(size.max, pool);
    let possible = false;
    for (let n = smallest; n <= last && !possible; n += 1) possible = spreadAllows(problem, groups, n);
    if (!possible) {
      shortfall.push({
        kind: 'spread',
        by: spread.by,
        needed: smallest,
        allowedPerGroup: allowedPerGroup(smallest),
        placeable: Math.min(smallest, placeable(groups, smallest)),
        unknown: problem.unknown,
      });
    }
  }
  return shortfall;
};
