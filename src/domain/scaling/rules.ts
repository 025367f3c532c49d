import { fourDecimals } from './four-decimals.js';

/** The parameters of scaling decisions. Ratios are 0..1 of capacity, times are seconds. */
export const defaultScalingRules = {
  /** The usage aimed for. Lower grows earlier and costs more; higher leaves less room for bursts. */
  targetUsage: 0.65,
  /** A cluster grows above this usage; `resource_usage` in the configuration. */
  highUsage: 0.8,
  /** A cluster shrinks only below this usage. */
  lowUsage: 0.5,
  /** Above this usage in two samples, a cluster is scaled without waiting for the interval. */
  urgentUsage: 0.95,
  /** The highest usage of the remaining members after shrinking. Must stay below `highUsage`, or sizes oscillate. */
  afterUsage: 0.72,
  /** A term of the formula this close to the present size, relatively, counts as the present size. */
  tolerance: 0.1,
  /** The time within which waiting work should be done. */
  drainSeconds: 300,
  halfLifeSeconds: 60,
  samplePeriodSeconds: 15,
  /** A reading older than this many sample periods is stale. */
  staleAfterPeriods: 3,
  /** Readings of a member younger than this are ignored: they show its start-up, not its work. */
  newMemberSeconds: 30,
  /**
   * For this long after a member joined, the average still reflects the smaller cluster, and falling usage does not
   * justify more growth. Four half-lives leave a sixteenth of it; less than the scaling interval.
   */
  settleSeconds: 240,
  /** Stabilization window: a cluster shrinks only when every recommendation within it was lower. At least two scaling intervals. */
  windowSeconds: 1200,
  /** The largest factor by which one round may multiply the size. */
  growthFactor: 2,
  /** The largest share of members that one round may remove; at least one member. */
  shrinkShare: 0.2,
  /** Flap budget: members that may join or leave by scaling within `budgetSeconds`. */
  budgetChanges: 4,
  budgetSeconds: 3600,
  /** At most one change of direction within this time. */
  reversalSeconds: 1800,
  /** How long a recommendation that was rolled back stays blocked. */
  blockSeconds: 1800,
  soakGrowSeconds: 60,
  soakShrinkSeconds: 120,
  /** A soak passes at this score; `stability_score` in the configuration. */
  passScore: 0.9,
  /** A soak also passes at a score at most this much below the score before the change. */
  passSlack: 0.02,
  /** How many of a soak's last samples must all pass. */
  passSamples: 3,
};

export type ScalingRules = Readonly<typeof defaultScalingRules>;

/**
 * The rules for another `resource_usage`. A lower value lowers the target, the low mark and the after-state in the
 * proportions of the defaults; otherwise a cluster would shrink to a size that it then grows out of.
 * @param highUsage a ratio, above 0, at most 1.
 */
export const rulesForUsage = (highUsage: number, rules: ScalingRules = defaultScalingRules): ScalingRules => {
  const factor = Math.min(1, highUsage / rules.highUsage);
  return {
    ...rules,
    highUsage,
    targetUsage: fourDecimals(rules.targetUsage * factor),
    lowUsage: fourDecimals(rules.lowUsage * factor),
    afterUsage: fourDecimals(rules.afterUsage * factor),
    urgentUsage: Math.max(rules.urgentUsage, highUsage),
  };
};
