import { checkFormation } from '../formation/feasible.js';
import type { FormationRule } from '../formation/types.js';
import { jainIndex } from './jain.js';
import type { ScalingMember } from './types.js';
import { fourDecimals } from './four-decimals.js';
import { offerOf } from './usage.js';
import { chooseVictims } from './victims.js';

export interface BalancedCluster {
  readonly id: string;
  readonly rule: FormationRule;
  readonly members: readonly ScalingMember[];
  /** What is in use of each resource, all members together. */
  readonly used: Readonly<Record<string, number>>;
  /** Members it may still change within its flap budget. */
  readonly changesLeft: number;
}

export interface RebalanceRules {
  /** The most members moved in a round, as a share of all; at least one. */
  readonly moveShare: number;
  /** By how much of itself the higher usage of the two clusters must fall. */
  readonly leastGain: number;
  /** Nobody is given members whose usage is not above it. */
  readonly worthUsage: number;
  /** Rounds after which moving stops when they change nothing. */
  readonly staleRounds: number;
  /** A round that changes the balance by less is stale; a balance that changes by more without a move starts anew. */
  readonly quantum: number;
}

export const defaultRebalanceRules: RebalanceRules = {
  moveShare: 0.1,
  leastGain: 0.05,
  worthUsage: 0.65,
  staleRounds: 3,
  quantum: 0.001,
};

export interface Move {
  readonly agentId: string;
  readonly from: string;
  readonly to: string;
  /** Usage of the two clusters, before and after. */
  readonly giver: { readonly before: number; readonly after: number };
  readonly taker: { readonly before: number; readonly after: number };
  /** 1 - higher usage after / higher usage before. */
  readonly gain: number;
}

/** Kept from one round to the next. */
export interface RebalanceState {
  /** Jain's index of the clusters' usage. */
  readonly balance: number;
  readonly staleRounds: number;
}

export interface RebalancePlan {
  readonly moves: readonly Move[];
  readonly state: RebalanceState;
  /** True: rounds have brought nothing for too long, and nothing is moved until usage changes. */
  readonly stopped: boolean;
}

/** How many of the emptiest clusters are asked for each that is full: bounds the time of a round. */
const giversTried = 25;

/**
 * Moves members from clusters with little use to clusters with much: at most a tenth of all in a round, a cluster in at
 * most one move, each only where the higher usage of the two falls by at least a twentieth of itself. So the ordered
 * usages fall with every move, and no two clusters can hand a member to and fro. What a cluster cannot spare stays.
 * @param input.mayMove whether an agent is of use to a cluster beyond what its rule says (labels, capabilities).
 * @param input.previous what the round before left; null in the first.
 */
export const planMoves = (input: {
  readonly clusters: readonly BalancedCluster[];
  readonly previous: RebalanceState | null;
  readonly mayMove?: (agentId: string, clusterId: string) => boolean;
  readonly rules?: RebalanceRules;
}): RebalancePlan => {
  const { clusters, previous, mayMove = () => true, rules = defaultRebalanceRules } = input;
  const usages = new Map(clusters.map((cluster) => [cluster, usageOf(cluster)]));
  const of = (cluster: BalancedCluster): number => usages.get(cluster) ?? 0;
  const balance = jainIndex([...usages.values()]);
  const changed = previous === null || Math.abs(balance - previous.balance) >= rules.quantum;
  // While nothing changes the old balance stays the measure: many small changes together start a new attempt.
  const measured = changed ? balance : previous.balance;
  const quiet = changed ? 0 : previous.staleRounds;
  if (quiet >= rules.staleRounds) return { moves: [], state: { balance: measured, staleRounds: quiet }, stopped: true };

  const free = clusters
    .filter(({ changesLeft }) => changesLeft > 0)
    .sort((a, b) => of(b) - of(a) || (a.id < b.id ? -1 : 1));
  const everybody = clusters.reduce((sum, { members }) => sum + members.length, 0);
  const cap = Math.max(1, Math.floor(rules.moveShare * everybody + 1e-9));
  const givers = [...free].reverse();
  const busy = new Set<BalancedCluster>();
  const moved = new Set<string>();
  const mayLeave = (agentId: string, clusterId: string): boolean => !moved.has(agentId) && mayMove(agentId, clusterId);
  const moves: Move[] = [];
  for (const taker of free) {
    if (moves.length >= cap || of(taker) <= rules.worthUsage) break;
    if (busy.has(taker) || taker.members.length >= taker.rule.size.max) continue;
    // Those already in a move stay at the front of the list, so that it is walked once and not for each taker.
    while (givers[0] !== undefined && busy.has(givers[0])) givers.shift();
    for (const giver of givers.slice(0, giversTried)) {
      const move = giver === taker || busy.has(giver) ? null : bestMove(giver, taker, of, mayLeave, rules);
      if (move === null) continue;
      moves.push(move);
      moved.add(move.agentId);
      busy.add(giver).add(taker);
      break;
    }
  }
  return { moves, state: { balance: measured, staleRounds: changed ? 0 : quiet + 1 }, stopped: false };
};

const bestMove = (
  giver: BalancedCluster,
  taker: BalancedCluster,
  of: (cluster: BalancedCluster) => number,
  mayMove: (agentId: string, clusterId: string) => boolean,
  rules: RebalanceRules,
): Move | null => {
  const useful = new Set(
    giver.members.filter((one) => one.ready && mayMove(one.id, taker.id) && fits(taker, one)).map(({ id }) => id),
  );
  if (useful.size === 0) return null;
  const eligible = (agentId: string): boolean => useful.has(agentId);
  const [leaver] = chooseVictims({ members: giver.members, rule: giver.rule, count: 1, eligible }).ids;
  const member = giver.members.find(({ id }) => id === leaver);
  if (member === undefined) return null;
  const after = {
    giver: usageOf({ ...giver, members: giver.members.filter((other) => other !== member) }),
    taker: usageOf({ ...taker, members: [...taker.members, member] }),
  };
  const gain = 1 - Math.max(after.giver, after.taker) / Math.max(of(giver), of(taker));
  if (!(gain >= rules.leastGain - 1e-9)) return null;
  return {
    agentId: member.id,
    from: giver.id,
    to: taker.id,
    giver: { before: of(giver), after: after.giver },
    taker: { before: of(taker), after: after.taker },
    gain: fourDecimals(gain),
  };
};

/** Joins without a role, so coverage and roles only gain: what it can break is the hard spread. */
const fits = ({ members, rule }: BalancedCluster, member: ScalingMember): boolean => {
  if (members.some(({ id }) => id === member.id)) return false;
  const broken = (all: readonly ScalingMember[]): boolean =>
    checkFormation(all, rule).some(({ kind }) => kind === 'spread');
  return broken(members) || !broken([...members, { ...member, roles: [] }]);
};

/** The fullest resource of a cluster, four decimals. */
const usageOf = ({ members, used }: Pick<BalancedCluster, 'members' | 'used'>): number =>
  Object.entries(used).reduce((most, [resource, amount]) => {
    const offered = members.reduce((sum, member) => sum + offerOf(member, resource), 0);
    if (!(amount > 0)) return most;
    return Math.max(most, offered > 0 ? fourDecimals(amount / offered) : 1);
  }, 0);
