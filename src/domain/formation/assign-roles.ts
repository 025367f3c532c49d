import type { Option, Problem } from './problem.js';
import { emptySeating, seat } from './seating.js';
import type { Member } from './types.js';

/**
 * Gives each chosen agent at most one role. Role minimums are filled first; each remaining agent takes the role it can
 * hold that is least full relative to its maximum (the earlier role on a tie). No role exceeds its maximum; an agent
 * that fits no role is a member without one.
 * @returns one row for each chosen agent, in order of choice.
 */
export const assignRoles = (problem: Problem, chosen: readonly Option[]): Member[] => {
  const { roles } = problem.request;
  const seating = emptySeating(problem.seatsNeeded);
  for (const [index, option] of chosen.entries()) seat(seating, index, option.capable);
  const roleOf = new Map(seating.seated.map(({ member, role }) => [member, role]));
  const count = [...problem.keptInRole];
  for (const role of roleOf.values()) count[role] = (count[role] ?? 0) + 1;

  const fullness = (role: number): number => (count[role] ?? 0) / (roles[role]?.max ?? 1);
  return chosen.map((option, index) => {
    let role = roleOf.get(index);
    if (role === undefined) {
      role = option.capable.filter((r) => fullness(r) < 1).sort((a, b) => fullness(a) - fullness(b) || a - b)[0];
      if (role !== undefined) count[role] = (count[role] ?? 0) + 1;
    }
    const name = role === undefined ? undefined : roles[role]?.name;
    return { agentId: option.id, roles: name === undefined ? [] : [name] };
  });
};
