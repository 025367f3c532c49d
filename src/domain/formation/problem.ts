import { agentCostMicros } from './cost.js';
import { tieBreaker } from '../hash.js';
import { byText } from '../order.js';
import { groupOf } from './spread.js';
import type { Candidate, MatchRequest, Role, Spread } from './types.js';

/** A candidate prepared for the searches: indexes instead of names. */
export interface Option {
  readonly id: string;
  readonly costMicros: number;
  /** Indexes in `Problem.capabilities` of the required capabilities it has. */
  readonly provides: readonly number[];
  /** Indexes of the request's roles it can hold. */
  readonly capable: readonly number[];
  /** Index of its host or zone in `Problem.keptInGroup`; -1 when the request has no spread. */
  readonly group: number;
}

/** A request and its candidates, prepared for the searches in an order that does not depend on the input's order. */
export interface Problem {
  readonly request: MatchRequest;
  /** Distinct required capabilities. */
  readonly capabilities: readonly string[];
  /** Usable candidates by cost, then stable hash, then id. */
  readonly options: readonly Option[];
  /** Kept members holding each required capability. */
  readonly keptProviding: readonly number[];
  /** Members each role still needs to reach its minimum. */
  readonly seatsNeeded: readonly number[];
  /** Kept members holding each role. */
  readonly keptInRole: readonly number[];
  /** Kept members in each group. */
  readonly keptInGroup: readonly number[];
  /** Candidates excluded because a hard spread cannot place an agent that reports no host or zone. */
  readonly unknown: number;
}

/** Prepares a request and its candidates. Duplicates and candidates that are kept members are dropped. */
export const prepareProblem = (candidates: readonly Candidate[], request: MatchRequest): Problem => {
  const { kept, roles, spread } = request;
  const capabilities = [...new Set(request.requiredCapabilities)];
  const groups = indexGroups(spread);
  for (const member of kept) {
    const group = groups.indexOf(member);
    if (group >= 0) groups.kept[group] = (groups.kept[group] ?? 0) + 1;
  }
  const keptInRole = roles.map(
    (role) =>
      kept.filter((member) => member.roles.includes(role.name) && member.capabilities.includes(role.capability)).length,
  );
  const keptIds = new Set(kept.map((member) => member.id));
  const added = candidates.filter(({ id }) => !keptIds.has(id));
  const placeable = spread?.mode === 'hard' ? added.filter((agent) => groupOf(agent, spread) !== null) : added;
  const placeableIds = new Set(placeable.map(({ id }) => id));
  return {
    request,
    capabilities,
    options: rankOptions(placeable, request, capabilities, groups.indexOf),
    keptProviding: capabilities.map((name) => kept.filter((member) => member.capabilities.includes(name)).length),
    seatsNeeded: roles.map((role, index) => Math.max(0, role.min - (keptInRole[index] ?? 0))),
    keptInRole,
    keptInGroup: groups.kept,
    unknown: new Set(added.filter((agent) => !placeableIds.has(agent.id)).map(({ id }) => id)).size,
  };
};

/** Numbers hosts or zones as they are met. An agent that reports none is alone in a group of its own. */
const indexGroups = (spread: Spread | null) => {
  const known = new Map<string, number>();
  const kept: number[] = [];
  const indexOf = (agent: Candidate): number => {
    if (!spread) return -1;
    const name = groupOf(agent, spread);
    const key = name === null ? `agent ${agent.id}` : `group ${name}`;
    const index = known.get(key) ?? kept.length;
    if (index === kept.length) {
      known.set(key, index);
      kept.push(0);
    }
    return index;
  };
  return { kept, indexOf };
};

/** Candidates as options, by cost, then stable hash, then id. */
const rankOptions = (
  candidates: readonly Candidate[],
  { roles, seed }: MatchRequest,
  capabilities: readonly string[],
  groupIndexOf: (agent: Candidate) => number,
): Option[] => {
  const needs = needsByToken(capabilities, roles);
  const tieOf = tieBreaker(seed);
  const asks = capabilities.length > 0 || roles.length > 0;
  const ranked = candidates.map((agent) => {
    const provides = new Set<number>();
    const capable = new Set<number>();
    for (const token of agent.capabilities) {
      const need = needs.get(token);
      if (need?.capability !== undefined) provides.add(need.capability);
      for (const role of need?.roles ?? []) capable.add(role);
    }
    const related = !asks || provides.size > 0 || capable.size > 0;
    return {
      id: agent.id,
      costMicros: agentCostMicros(agent, related),
      // Sorted, so that the order in which an agent lists its capabilities has no effect.
      provides: [...provides].sort((a, b) => a - b),
      capable: [...capable].sort((a, b) => a - b),
      group: groupIndexOf(agent),
      tie: tieOf(agent.id),
    };
  });
  ranked.sort((a, b) => a.costMicros - b.costMicros || a.tie - b.tie || byText(a.id, b.id));
  const seen = new Set<string>();
  return ranked.filter(({ id }) => !seen.has(id) && seen.add(id));
};

/** For each capability token: the required capability it meets, the roles it qualifies for, or both. */
const needsByToken = (capabilities: readonly string[], roles: readonly Role[]) => {
  const needs = new Map<string, { readonly capability?: number; readonly roles: number[] }>();
  for (const [capability, token] of capabilities.entries()) needs.set(token, { capability, roles: [] });
  for (const [role, { capability: token }] of roles.entries()) {
    const need = needs.get(token) ?? { roles: [] };
    need.roles.push(role);
    needs.set(token, need);
  }
  return needs;
};
