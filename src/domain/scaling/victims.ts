import { checkFormation } from '../formation/feasible.js';
import { majority } from '../formation/quorum.js';
import { groupOf } from '../formation/spread.js';
import type { FormationRule, Placed, Shortfall } from '../formation/types.js';

export interface Victim extends Placed {
  readonly ready: boolean;
  readonly joinedAtMs: number;
}

export interface Victims {
  /** In the order in which they are to leave, one at a time. */
  readonly ids: readonly string[];
  /** When fewer than asked: why none of those that stay may go, each reason once. */
  readonly refused: readonly string[];
}

/**
 * Who leaves when a cluster shrinks: unhealthy before healthy, then whose capabilities most others have, then who shares
 * its host (or zone, where the cluster spreads over zones) with most, then the newest. Nobody leaves whose going would
 * bring the cluster below its minimum, leave a required capability or a role short, break a hard spread, or leave fewer
 * than a majority ready; what is already broken may stay as it is, but not get worse. This holds after each single one.
 */
export const chooseVictims = (input: {
  readonly members: readonly Victim[];
  readonly rule: FormationRule;
  readonly count: number;
  /** Who may be chosen at all; the others only count for what they hold together. */
  readonly eligible?: (agentId: string) => boolean;
}): Victims => {
  const { rule, count, eligible = () => true } = input;
  let staying = input.members;
  const ids: string[] = [];
  while (ids.length < count) {
    const next = inOrder(staying, rule).find(
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

const inOrder = (members: readonly Victim[], rule: FormationRule): Victim[] => {
  const needed = new Set([...rule.requiredCapabilities, ...rule.roles.map(({ capability }) => capability)]);
  const holders = (capability: string): number =>
    members.filter(({ capabilities }) => capabilities.includes(capability)).length;
  const spread = rule.spread ?? { by: 'host', mode: 'soft' };
  const ranked = members.map((member) => {
    const group = groupOf(member, spread);
    return {
      member,
      // The rarest of what it can do; who can do nothing that is needed is missed by nobody.
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
        (a.member.id < b.member.id ? -1 : 1),
    )
    .map(({ member }) => member);
};

/** Without subtraction: two infinities are equal. */
const descending = (a: number, b: number): number => (a === b ? 0 : a > b ? -1 : 1);

const objections = (leaver: Victim, members: readonly Victim[], rule: FormationRule): string[] => {
  const rest = members.filter((member) => member !== leaver);
  const told: string[] = [];
  const ready = rest.filter((member) => member.ready).length;
  if (leaver.ready && ready < majority(rest.length)) {
    told.push(`quorum: ${ready} of ${rest.length} would be ready, a majority is ${majority(rest.length)}`);
  }
  const before = checkFormation(members, rule);
  for (const short of checkFormation(rest, rule)) {
    const objection = objectionOf(
      short,
      before.find((known) => keyOf(known) === keyOf(short)),
    );
    if (objection !== null) told.push(objection);
  }
  return told;
};

const keyOf = (short: Shortfall): string =>
  short.kind === 'capability'
    ? `capability ${short.capability}`
    : short.kind === 'role'
      ? `role ${short.role}`
      : short.kind;

const objectionOf = (after: Shortfall, before: Shortfall | undefined): string | null => {
  switch (after.kind) {
    case 'capability':
      return before ? null : `coverage: nobody else has "${after.capability}"`;
    case 'role': {
      const worse = after.found < after.min && !(before?.kind === 'role' && before.found <= after.found);
      return worse ? `role: "${after.role}" would have ${after.found} of at least ${after.min}` : null;
    }
    case 'size':
      return after.found < after.min ? `minimum: ${after.found} would stay, at least ${after.min} must` : null;
    case 'spread': {
      const missing = after.needed - after.placeable;
      const was = before?.kind === 'spread' ? before.needed - before.placeable : 0;
      if (missing <= was) return null;
      return `spread: of ${after.needed} members at most ${after.allowedPerGroup} may share a ${after.by}`;
    }
    case 'room':
      return null;
    default:
      return after satisfies never;
  }
};
