import { checkFormation } from '../../../src/domain/formation/feasible.js';
import type { Candidate, Match, MatchRequest, Placed } from '../../../src/domain/formation/types.js';

/** The whole cluster an answer describes: kept members and additions, as `checkFormation` wants them. */
export const wholeCluster = (
  candidates: readonly Candidate[],
  request: MatchRequest,
  members: Match['members'],
): Placed[] => [
  ...request.kept,
  ...members.map(({ agentId, roles }) => {
    const found = candidates.find(({ id }) => id === agentId);
    if (!found) throw new Error(`${agentId} is not a candidate`);
    return { ...found, roles };
  }),
];

/** Cost by the weights as they are written in the design, added up without the product's code. */
export const costOf = (chosen: readonly Candidate[], request: MatchRequest): number => {
  const asked = new Set([...request.requiredCapabilities, ...request.roles.map((role) => role.capability)]);
  const by = request.spread?.by;
  const before: Candidate[] = [...request.kept];
  let cost = 0;
  for (const one of chosen) {
    cost += 0.34 * one.load + 0.33 * one.usageRatio + 0.33 * one.clusterRatio + 0.1 * one.recentFlaps;
    if (asked.size > 0 && !one.capabilities.some((token) => asked.has(token))) cost += 1;
    if (by) cost += 0.15 * before.filter((other) => other[by] !== null && other[by] === one[by]).length;
    before.push(one);
  }
  return cost;
};

export const heldOnceOf = (chosen: readonly Candidate[], request: MatchRequest): number =>
  [...new Set(request.requiredCapabilities)].filter(
    (token) => [...request.kept, ...chosen].filter((member) => member.capabilities.includes(token)).length < 2,
  ).length;

/** Whether some way of giving each addition at most one role makes the set a cluster: every way is tried. */
const isCluster = (chosen: readonly Candidate[], request: MatchRequest): boolean => {
  const hard = request.spread?.mode === 'hard' ? request.spread.by : null;
  if (hard && chosen.some((member) => member[hard] === null)) return false;
  const assign = (index: number, sofar: readonly Placed[]): boolean => {
    const one = chosen[index];
    if (!one) return checkFormation([...request.kept, ...sofar], request).length === 0;
    const options = request.roles
      .filter((role) => one.capabilities.includes(role.capability))
      .map((role) => [role.name]);
    return [...options, []].some((roles) => assign(index + 1, [...sofar, { ...one, roles }]));
  };
  return assign(0, []);
};

/** Every set of additions that is a cluster with the kept members, found by trying them all. */
export const allClusters = (candidates: readonly Candidate[], request: MatchRequest): Candidate[][] => {
  const found: Candidate[][] = [];
  const explore = (index: number, chosen: Candidate[]): void => {
    const total = request.kept.length + chosen.length;
    if (total > request.size.max) return;
    const next = candidates[index];
    if (!next) {
      if (total >= request.size.min && isCluster(chosen, request)) found.push(chosen);
      return;
    }
    explore(index + 1, [...chosen, next]);
    explore(index + 1, chosen);
  };
  explore(0, []);
  return found;
};
