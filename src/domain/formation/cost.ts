import type { Candidate } from './types.js';

/**
 * What choosing an agent costs, in parts of 1 for an agent that is wholly busy.
 * `load`, `usage` and `clusters` sum to 1 (Orleans `ResourceOptimizedPlacement`); `sameGroup` is paid for each member
 * already on the agent's host or zone, `flap` for each recent flap, `unrelated` by an agent that has nothing that was
 * asked for and would only make up the number.
 */
export const costWeights = {
  load: 0.34,
  usage: 0.33,
  clusters: 0.33,
  sameGroup: 0.15,
  flap: 0.1,
  unrelated: 1,
} as const;

/** Millionths of one cost unit: sums of integers do not depend on their order, sums of fractions do. */
export const microsPerCost = 1_000_000;

/** The price of one more member on the same host or zone, in millionths. */
export const sameGroupMicros = costWeights.sameGroup * microsPerCost;

/**
 * The cost of an agent by itself, before it shares a host with anybody.
 * @param agent ratios outside 0..1 count as the nearest bound.
 * @param related false when the agent has no capability the request names, though it names some.
 * @returns millionths, an integer >= 0.
 * Source: weights of Orleans `ResourceOptimizedPlacement`; the flap and host terms are this product's.
 */
export const agentCostMicros = (
  agent: Pick<Candidate, 'load' | 'usageRatio' | 'clusterRatio' | 'recentFlaps'>,
  related: boolean,
): number =>
  Math.round(
    microsPerCost *
      (costWeights.load * ratio(agent.load) +
        costWeights.usage * ratio(agent.usageRatio) +
        costWeights.clusters * ratio(agent.clusterRatio) +
        costWeights.flap * Math.max(0, agent.recentFlaps) +
        (related ? 0 : costWeights.unrelated)),
  );

const ratio = (value: number): number => Math.min(1, Math.max(0, value));
