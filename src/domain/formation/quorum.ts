import { checkFormation } from './feasible.js';
import type { Placed, RuleWithKept } from './types.js';

/** The smallest number of members of which two disjoint groups cannot both consist. */
export const majority = (count: number): number => Math.floor(count / 2) + 1;

/** A final answer to an invitation. The inviter records `silent` when its last attempt went unanswered. */
export type InvitationAnswer = 'accepted' | 'declined' | 'silent';

export interface Invited extends Placed {
  /** An `auto` agent counts as accepted without being asked. */
  readonly acceptance: 'auto' | 'ask';
}

export type InvitationVerdict = 'ready' | 'waiting' | { readonly failed: string };

/**
 * Decides whether a cluster can start with the members that accepted.
 * `ready`: every agent has answered, a majority accepted, and the accepting agents satisfy the request (required
 * capabilities, role minimums, size, hard spread). `waiting`: answers are outstanding and the cluster can still succeed.
 * `failed`: it cannot succeed whatever the outstanding answers are; the caller substitutes or compensates.
 * @param input.members all invited and kept agents. An agent that was substituted is not among them.
 * @param input.answers final answers by agent id. An agent without an entry has not answered yet.
 * @param input.request `kept` members are in the cluster already and count as accepted.
 */
export const invitationVerdict = (input: {
  readonly members: readonly Invited[];
  readonly answers: Readonly<Record<string, InvitationAnswer>>;
  readonly request: RuleWithKept;
}): InvitationVerdict => {
  const { members, answers, request } = input;
  const kept = new Set(request.kept?.map(({ id }) => id));
  const answerOf = ({ id, acceptance }: Invited): InvitationAnswer | undefined =>
    kept.has(id) || acceptance === 'auto' ? 'accepted' : Object.hasOwn(answers, id) ? answers[id] : undefined;

  const accepted = members.filter((member) => answerOf(member) === 'accepted');
  const open = members.filter((member) => answerOf(member) === undefined);
  const possible = [...accepted, ...open];
  const needed = majority(members.length);
  const summary = `${accepted.length} of ${members.length} agents accepted`;
  if (possible.length < needed) return { failed: `${summary}, a majority is ${needed}` };

  for (const short of checkFormation(possible, request)) {
    if (short.kind === 'capability') return { failed: `${summary}, and none of them has "${short.capability}"` };
    if (short.kind === 'role' && short.found < short.min) {
      return { failed: `${summary}, and role "${short.role}" has ${short.found} of at least ${short.min}` };
    }
    if (short.kind === 'size' && short.found < short.min) {
      return { failed: `${summary}, the cluster needs at least ${short.min}` };
    }
    // An excess (on one host, in a role, in size) can still disappear when an outstanding agent declines.
    if (open.length > 0) continue;
    if (short.kind === 'spread') {
      return { failed: `${summary}, and more than ${short.allowedPerGroup} of them share a ${short.by}` };
    }
    if (short.kind === 'role') {
      return { failed: `${summary}, and role "${short.role}" has ${short.found} of at most ${short.max}` };
    }
    if (short.kind === 'size') return { failed: `${summary}, the cluster may have at most ${short.max}` };
  }
  return open.length > 0 ? 'waiting' : 'ready';
};
