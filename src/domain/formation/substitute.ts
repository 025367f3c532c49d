import { checkFormation } from './feasible.js';
import type { Candidate, FormationRule, Member, Placed, Shortfall } from './types.js';

/**
 * The next alternate that can take a lost member's place: the first in rank that is neither a member nor has declined
 * and that leaves coverage, roles, size and hard spread no worse than they were with the lost member. It inherits the
 * lost member's roles, as far as it has their capability; the others keep theirs, since they have been told.
 * @param input.members the whole cluster, `lost` included, kept members included.
 * @param input.alternates in rank order, as `match` returned them, without those no longer eligible.
 * @param input.declined ids of agents that have already refused or not answered.
 * @returns null when no alternate fits: go on without one where `invitationVerdict` allows it, else compensate.
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
