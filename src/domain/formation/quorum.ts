import { checkFormation } from './feasible.js';
import type { FormationRule, Placed } from './types.js';

/** The fewest of `count` members that no two disjoint groups can both have. */
export const majority = (count: number): number => Math.floor(count / 2) + 1;

/** A final answer to an invitation. `silent` is said by the inviter, when the last try has gone unanswered. */
export type InvitationAnswer = 'accepted' | 'declined' | 'silent';

export interface Invited extends Placed {
  /** An `auto` agent counts as accepted without being asked. */
  readonly acceptance: 'auto' | 'ask';
}

export type InvitationVerdict = 'ready' | 'waiting' | { readonly failed: string };

/**
 * Whether a cluster can start with the members that accepted.
 * `ready`: everybody has answered, a majority accepted, and those who did satisfy the request: every required
 * capability, every role's minimum, size and hard spread. `waiting`: somebody may still answer and it can still
 * succeed. `failed`: it cannot, whatever the others say; what is left to do is to substitute or to compensate.
 * @param input.members everybody invited and kept; an agent that was substituted is no longer among them.
 * @param input.answers final answers by agent id; an agent without one is still being asked.
 * @param input.request `kept` members are in the cluster already and count as accepted.
 */
export const invitationVerdict = (input: {
  readonly members: readonly Invited[];
  readonly answers: Readonly<Record<string, InvitationAnswer>>;
  readonly request: FormationRule & { readonly kept?: readonly { readonly id: string }[] };
}): InvitationVerdict => {
  const { members, answers, request } = input;
  const kept = new Set(request.kept?.map(({ id }) => id));
  const answerOf = ({ id, acceptance }: Invited): InvitationAnswer | undefined =>
    kept.has(id) || acceptance === 'auto' ? 'accepted' : Object.hasOwn(answers, id) ? answers[id] : undefined;

  const accepted = members.filter((member) => answerOf(member) === 'accepted');
  const open = members.filter((member) => answerOf(member) === undefined);
  const possible = [...accepted, ...open];
  const needed = majority(members.length);
  const told = `${accepted.length} of ${members.length} agents accepted`;
  if (possible.length < needed) return { failed: `${told}, a majority is ${needed}` };

  for (const short of checkFormation(possible, request)) {
    if (short.kind === 'capability') return { failed: `${told}, and none of them has "${short.capability}"` };
    if (short.kind === 'role' && short.found < short.min) {
      return { failed: `${told}, and role "${short.role}" has ${short.found} of at least ${short.min}` };
    }
    if (short.kind === 'size' && short.found < short.min) {
      return { failed: `${told}, the cluster needs at least ${short.min}` };
    }
    // Too many on one host, in a role or in all can still be cured by somebody declining.
    if (open.length > 0) continue;
    if (short.kind === 'spread') {
      return { failed: `${told}, and more than ${short.allowedPerGroup} of them share a ${short.by}` };
    }
    if (short.kind === 'role') {
      return { failed: `${told}, and role "${short.role}" has ${short.found} of at most ${short.max}` };
    }
    if (short.kind === 'size') return { failed: `${told}, the cluster may have at most ${short.max}` };
  }
  return open.length > 0 ? 'waiting' : 'ready';
};
