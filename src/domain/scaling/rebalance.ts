import { checkFormation } from '../formation/feasible.js';
import type { FormationRule } from '../formation/types.js';
import { byText } from '../order.js';
import { jainIndex } from './jain.js';
import type { ScalingMember } from './types.js';
import { fourDecimals } from './four-decimals.js';
import { offerOf } from './usage.js';
import { chooseVictims } from './victims.js';

export interface BalancedCluster {
  readonly id: string;
  readonly rule: FormationRule;
  readonly members: readonly ScalingMember[];
  /** Amount in use of each resource, over all members. */
  readonly used: Readonly<Record<string, number>>;
  /** Changes left in its flap budget. */
  readonly changesLeft: number;
}

export const defaultRebalanceRules = {
  /** The most members moved in one round, as a share of all members; at least one. */
  moveShare: 0.1,
  /** The relative drop of the higher of the two clusters' usages that a move must bring. */
  minGain: 0.05,
  /** Only clusters with a usage above it receive members. */
  minTakerUsage: 0.65,
  /** Rounds after which moving stops when they change nothing. */
  staleRounds: 3,
  /** A round that changes the balance by less is stale. A larger change restarts the count of stale rounds. */
  quantum: 0.001,
};

export type RebalanceRules = Readonly<typeof defaultRebalanceRules>;

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

/** State carried from one round to the next. */
export interface RebalanceState {
  /** Jain's index of the clusters' usage. */
  readonly balance: number;
  readonly staleRounds: number;
}

export interface RebalancePlan {
  readonly moves: readonly Move[];
  readonly state: RebalanceState;
  /** True when too many rounds were stale: no member is moved until usage changes. */
  readonly stopped: boolean;
}

/** How many of the least used clusters are tried as givers for each taker; bounds the time of a round. */
const maxGiversTried = 25;

/**
 * Plans moves of members from clusters with low usage to clusters with high usage: at most a tenth of all members in a
 * round, one move for each cluster, and only where the higher usage of the two falls by at least 5 %. The sorted usages
 * therefore fall with every move, and two clusters cannot exchange a member back and forth. A cluster never gives up a
 * member it needs.
 * @param input.mayMove whether an agent suits a cluster beyond its formation rule (labels, capabilities).
 * @param input.previous the state after the previous round; null in the first round.
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
  // The reference balance stays while nothing changes, so that many small changes add up to a new attempt.
  const measured = changed ? balance : previous.balance;
  const quiet = changed ? 0 : previous.staleRounds;
  if (quiet >= rules.staleRounds) return { moves: [], state: { balance: measured, staleRounds: quiet }, stopped: true };

  const free = clusters
    .filter(({ changesLeft }) => changesLeft > 0)
    .sort((a, b) => of(b) - of(a) || byText(a.id, b.id));
  const totalMembers = clusters.reduce((sum, { members }) => sum + members.length, 0);
  const cap = Math.max(1, Math.floor(rules.moveShare * totalMembers + 1e-9));
  const givers = [...free].reverse();
  const busy = new Set<BalancedCluster>();
  const moved = new Set<string>();
  const mayLeave = (agentId: string, clusterId: string): boolean => !moved.has(agentId) && mayMove(agentId, clusterId);
  const moves: Move[] = [];
  for (const taker of free) {
    if (moves.length >= cap || of(taker) <= rules.minTakerUsage) break;
    if (busy.has(taker) || taker.members.length >= taker.rule.size.max) continue;
    // Clusters already in a move collect at the front; dropping them here keeps the scan linear.
    while (givers[0] !== undefined && busy.has(givers[0])) givers.shift();
    for (const giver of givers.slice(0, maxGiversTried)) {
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
  if (!(gain >= rules.minGain - 1e-9)) return null;
  return {
    agentId: member.id,
    from: giver.id,
    to: taker.id,
    giver: { before: of(giver), after: after.giver },
    taker: { before: of(taker), after: after.taker },
    gain: fourDecimals(gain),
  };
};

/** The member joins without a role, so coverage and roles can only improve; only a hard spread can break. */
const fits = ({ members, rule }: BalancedCluster, member: ScalingMember): boolean => {
  if (members.some(({ id }) => id === member.id)) return false;
  const broken = (all: readonly ScalingMember[]): boolean =>
    checkFormation(all, rule).some(({ kind }) => kind === 'spread');
  return broken(members) || !broken([...members, { ...member, roles: [] }]);
};

/** The usage of a cluster's most used resource, four decimals. */
const usageOf = ({ members, used }: Pick<BalancedCluster, 'members' | 'used'>): number =>
  Object.entries(used).reduce((most, [resource, amount]) => {
    const offered = members.reduce((sum, member) => sum + offerOf(member, resource), 0);
    if (!(amount > 0)) return most;
    return Math.max(most, offered > 0 ? fourDecimals(amount / offered) : 1);
  }, 0);
