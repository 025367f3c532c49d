import { agentCostMicros } from './cost.js';
import { tieBreaker } from '../hash.js';
import { groupOf } from './spread.js';
import type { Candidate, MatchRequest, Role } from './types.js';

/** A candidate as the searches see it: numbers instead of names. */
export interface Option {
  readonly id: string;
  readonly costMicros: number;
  /** Positions in `Problem.capabilities` of the required capabilities it has. */
  readonly provides: readonly number[];
  /** Positions in the request's roles of those it can hold. */
  readonly capable: readonly number[];
  /** Position of its host or zone in `Problem.keptInGroup`; -1 when the request spreads over nothing. */
  readonly group: number;
}

/** A request and its candidates, prepared: everything the searches need, in an order that input order cannot change. */
export interface Problem {
  readonly request: MatchRequest;
  /** Distinct required capabilities. */
  readonly capabilities: readonly string[];
  /** Usable candidates by cost, then stable hash, then id. */
  readonly options: readonly Option[];
  /** Kept members holding each required capability. */
  readonly keptProviding: readonly number[];
  /** Seats still to fill in each role to reach its minimum. */
  readonly seatsNeeded: readonly number[];
  /** Kept members holding each role. */
  readonly keptInRole: readonly number[];
  /** Kept members in each group. */
  readonly keptInGroup: readonly number[];
  /** Candidates left out because a hard spread cannot place an agent that names no host or zone. */
  readonly unknown: number;
}

/** Prepares a request and its candidates. Candidates that are kept members, or come twice, count once. */
export const prepare = (candidates: readonly Candidate[], request: MatchRequest): Problem => {
  const { kept, roles, spread, seed } = request;
  const capabilities = [...new Set(request.requiredCapabilities)];
  const needs = needsByToken(capabilities, roles);
  const tieOf = tieBreaker(seed);
  const asks = capabilities.length > 0 || roles.length > 0;
  const taken = new Set(kept.map((member) => member.id));
  const hard = spread?.mode === 'hard';

  const groups = new Map<string, number>();
  const keptInGroup: number[] = [];
  const groupIndex = (agent: Candidate): number => {
    if (!spread) return -1;
    const name = groupOf(agent, spread);
    const key = name === null ? `agent ${agent.id}` : `group ${name}`;
    const known = groups.get(key);
    if (known !== undefined) return known;
    groups.set(key, keptInGroup.length);
    keptInGroup.push(0);
    return keptInGroup.length - 1;
  };
  for (const member of kept) {
    const group = groupIndex(member);
    if (group >= 0) keptInGroup[group] = (keptInGroup[group] ?? 0) + 1;
  }

  const keptProviding = capabilities.map((name) => kept.filter((member) => member.capabilities.includes(name)).length);
  const keptInRole = roles.map(
    (role) =>
      kept.filter((member) => member.roles.includes(role.name) && member.capabilities.includes(role.capability)).length,
  );

  const unknown = new Set<string>();
  const ranked: (Option & { readonly tie: number })[] = [];
  for (const agent of candidates) {
    if (taken.has(agent.id)) continue;
    if (hard && groupOf(agent, spread) === null) {
      unknown.add(agent.id);
      continue;
    }
    const provides: number[] = [];
    const capable: number[] = [];
    for (const token of agent.capabilities) {
      const need = needs.get(token);
      // A token listed twice must not count twice.
      if (need?.capability !== undefined && !provides.includes(need.capability)) provides.push(need.capability);
      for (const role of need?.roles ?? []) if (!capable.includes(role)) capable.push(role);
    }
    // Order must not tell how an agent listed its capabilities.
    capable.sort((a, b) => a - b);
    provides.sort((a, b) => a - b);
    const related = !asks || provides.length > 0 || capable.length > 0;
    ranked.push({
      id: agent.id,
      costMicros: agentCostMicros(agent, related),
      provides,
      capable,
      group: groupIndex(agent),
      tie: tieOf(agent.id),
    });
  }
  ranked.sort((a, b) => a.costMicros - b.costMicros || a.tie - b.tie || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  const seen = new Set<string>();
  const options = ranked.filter(({ id }) => !seen.has(id) && seen.add(id));

  return {
    request,
    capabilities,
    options,
    keptProviding,
    seatsNeeded: roles.map((role, index) => Math.max(0, role.min - (keptInRole[index] ?? 0))),
    keptInRole,
    keptInGroup,
    unknown: unknown.size,
  };
};

/** What a capability token answers to: a required capability, roles, or both. */
const needsByToken = (
  capabilities: readonly string[],
  roles: readonly Role[],
): Map<string, { capability?: number; readonly roles: number[] }> => {
  const needs = new Map<string, { capability?: number; readonly roles: number[] }>();
  for (const [capability, token] of capabilities.entries()) needs.set(token, { capability, roles: [] });
  for (const [role, { capability: token }] of roles.entries()) {
    const need = needs.get(token);
    if (need) need.roles.push(role);
    else needs.set(token, { roles: [role] });
  }
  return needs;
};
