import { checkFormation, isNoWorse } from '../formation/feasible.js';
import { majority } from '../formation/quorum.js';
import { groupOf } from '../formation/spread.js';
import type { FormationRule, Placed, Shortfall } from '../formation/types.js';
import { byText } from '../order.js';
import type { ScalingMember } from './types.js';

export type Victim = Pick<ScalingMember, 'ready' | 'joinedAtMs' | keyof Placed>;

export interface Victims {
  /** In the order of removal. */
  readonly ids: readonly string[];
  /** When fewer than requested were found: the distinct reasons why no further member may leave. */
  readonly refused: readonly string[];
}

/**
 * Chooses the members to remove when a cluster shrinks: unhealthy members first, then those with the most common
 * capabilities, then those that share a host (or zone) with the most members, then the newest. A removal must not bring
 * the cluster below its minimum, leave a required capability or role short, break a hard spread, or leave fewer than a
 * majority ready. A rule that is already broken must not get worse. This holds after each single removal.
 */
export const chooseVictims = (input: {
  readonly members: readonly Victim[];
  readonly rule: FormationRule;
  readonly count: number;
  /** Which members may be chosen; the others only count toward the rules. */
  readonly eligible?: (agentId: string) => boolean;
}): Victims => {
  const { rule, count, eligible = () => true } = input;
  let staying = input.members;
  const ids: string[] = [];
  while (ids.length < count) {
    const next = rankVictims(staying, rule).find(
      (member) => eligible(member.id) && objections(member, staying, rule).length === 0,
    );
    if (next === undefined) break;
    ids.push(next.id);
    staying = staying.filter((member) => member !== next);
  }
  const refused =
    ids.length < count ? new Set(staying.flatMap((member) => objections(member, staying, rule))) : new Set<string>();
  return { ids, refused: [...refused].sort() };
};

const rankVictims = (members: readonly Victim[], rule: FormationRule): Victim[] => {
  const needed = new Set([...rule.requiredCapabilities, ...rule.roles.map(({ capability }) => capability)]);
  const holders = (capability: string): number =>
    members.filter(({ capabilities }) => capabilities.includes(capability)).length;
  const spread = rule.spread ?? { by: 'host', mode: 'soft' };
  const ranked = members.map((member) => {
    const group = groupOf(member, spread);
    return {
      member,
      // How many members hold its rarest needed capability; Infinity when it has no needed capability.
      rarest: Math.min(...member.capabilities.filter((token) => needed.has(token)).map(holders)),
      neighbours: group === null ? 1 : members.filter((other) => groupOf(other, spread) === group).length,
    };
  });
  return ranked
    .sort(
      (a, b) =>
        Number(a.member.ready) - Number(b.member.ready) ||
        descending(a.rarest, b.rarest) ||
        descending(a.neighbours, b.neighbours) ||
        descending(a.member.joinedAtMs, b.member.joinedAtMs) ||
        byText(a.member.id, b.member.id),
    )
    .map(({ member }) => member);
};

/** Compares without subtraction, since Infinity - Infinity is NaN. */
const descending = (a: number, b: number): number => (a === b ? 0 : a > b ? -1 : 1);

const objections = (leaver: Victim, members: readonly Victim[], rule: FormationRule): string[] => {
  const rest = members.filter((member) => member !== leaver);
  const reasons: string[] = [];
  const ready = rest.filter((member) => member.ready).length;
  if (leaver.ready && ready < majority(rest.length)) {
    reasons.push(`quorum: ${ready} of ${rest.length} would be ready, a majority is ${majority(rest.length)}`);
  }
  const before = checkFormation(members, rule);
  const broken = checkFormation(rest, rule).filter((short) => !isNoWorse(short, before));
  return [...reasons, ...broken.flatMap(objectionTo)];
};

const objectionTo = (short: Shortfall): string[] => {
  switch (short.kind) {
    case 'capability':
      return [`coverage: no other member has "${short.capability}"`];
    case 'role':
      return [`role: "${short.role}" would have ${short.found} of at least ${short.min}`];
    case 'size':
      return [`minimum: ${short.found} would remain, at least ${short.min} are required`];
    case 'spread':
      return [`spread: of ${short.needed} members at most ${short.allowedPerGroup} may share a ${short.by}`];
    case 'room':
      return [];
    default:
      return short satisfies never;
  }
};
