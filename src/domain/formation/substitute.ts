import { checkFormation, isNoWorse } from './feasible.js';
import type { Candidate, Member, Placed, RuleWithKept } from './types.js';

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
  readonly request: RuleWithKept;
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
    if (after.every((short) => isNoWorse(short, before))) return { agentId: alternate.id, roles };
  }
  return null;
};
