import type { Candidate } from './types.js';

/**
 * The cost of choosing an agent; a fully busy agent costs 1. `load`, `usage` and `clusters` sum to 1 (Orleans
 * `ResourceOptimizedPlacement`). `sameGroup` is added for each member already on the agent's host or zone, `flap` for
 * each recent flap, and `unrelated` for an agent that has none of the requested capabilities and only adds to the size.
 */
export const costWeights = {
  load: 0.34,
  usage: 0.33,
  clusters: 0.33,
  sameGroup: 0.15,
  flap: 0.1,
  unrelated: 1,
} as const;

/** Costs are integers in millionths: sums of integers do not depend on the order of addition, sums of fractions do. */
export const microsPerCost = 1_000_000;

/** The cost of one more member on the same host or zone, in millionths. */
export const sameGroupMicros = costWeights.sameGroup * microsPerCost;

/**
 * The cost of one agent before shared hosts or zones are added.
 * @param agent ratios outside 0..1 are clamped.
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
