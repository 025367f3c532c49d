import { checkFormation } from './feasible.js';
import type { Candidate, FormationRule, Member, Placed, Shortfall } from './types.js';

/**
 * Finds the alternate that replaces a lost member: the first in rank that is not a member, has not declined, and leaves
 * coverage, roles, size and hard spread no worse than they were with the lost member. It inherits those of the lost
 * member's roles for which it has the capability. Other members keep their roles, since they were already notified.
 * @param input.members the whole cluster, including `lost` and kept members.
 * @param input.alternates in rank order, as `match` returned them, without those no longer eligible.
 * @param input.declined ids of agents that have declined or did not answer.
 * @returns null when no alternate fits. The caller then continues without one if `invitationVerdict` allows, or compensates.
 */
export const substitute = (input: {
  readonly lost: string;
  readonly members: readonly Placed[];
  readonly alternates: readonly Candidate[];
  readonly request: FormationRule & { readonly kept?: readonly { readonly id: string }[] };
  readonly declined: readonly string[];
}): Member | null => {
  const { lost, members, alternates, request } = input;
  const out = new Set([lost, ...input.declined, ...members.map(({ id }) => id)]);
  const inherited = members.find(({ id }) => id === lost)?.roles ?? [];
  const rest = members.filter(({ id }) => id !== lost);
  const before = checkFormation(members, request);
  for (const alternate of alternates) {
    if (out.has(alternate.id)) continue;
    const roles = inherited.filter((name) =>
      request.roles.some((role) => role.name === name && alternate.capabilities.includes(role.capability)),
    );
    const after = checkFormation([...rest, { ...alternate, roles }], request);
    if (after.every((short) => before.some((known) => isNoWorse(short, known)))) {
      return { agentId: alternate.id, roles };
    }
  }
  return null;
};

const isNoWorse = (after: Shortfall, before: Shortfall): boolean => {
  switch (after.kind) {
    case 'capability':
      return before.kind === 'capability' && before.capability === after.capability;
    case 'role':
      return before.kind === 'role' && before.role === after.role && distance(after) <= distance(before);
    case 'size':
      return before.kind === 'size' && distance(after) <= distance(before);
    case 'spread':
      return before.kind === 'spread' && after.placeable >= before.placeable;
    case 'room':
      return before.kind === 'room';
    default:
      return after satisfies never;
  }
};

/** How far a count is outside its bounds. */
const distance = ({ min, max, found }: { min: number; max: number; found: number }): number =>
  Math.max(min - found, found - max);
