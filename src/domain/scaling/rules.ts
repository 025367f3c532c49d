import { fourDecimals } from './four-decimals.js';

/** The parameters of scaling decisions. Ratios are 0..1 of capacity, times are seconds. */
export interface ScalingRules {
  /** The usage aimed for. Lower grows earlier and costs more; higher leaves less room for bursts. */
  readonly targetUsage: number;
  /** A cluster grows above this usage; `resource_usage` in the configuration. */
  readonly highUsage: number;
  /** A cluster shrinks only below this usage. */
  readonly lowUsage: number;
  /** Above this usage in two samples, a cluster is scaled without waiting for the interval. */
  readonly urgentUsage: number;
  /** The highest usage of the remaining members after shrinking. Must stay below `highUsage`, or sizes oscillate. */
  readonly afterUsage: number;
  /** A term of the formula this close to the present size, relatively, counts as the present size. */
  readonly tolerance: number;
  /** The time within which waiting work should be done. */
  readonly drainSeconds: number;
  readonly halfLifeSeconds: number;
  readonly samplePeriodSeconds: number;
  /** A reading older than this many sample periods is stale. */
  readonly staleAfterPeriods: number;
  /** Readings of a member younger than this are ignored: they show its start-up, not its work. */
  readonly newMemberSeconds: number;
  /**
   * For this long after a member joined, the average still reflects the smaller cluster, and falling usage does not
   * justify more growth. Four half-lives leave a sixteenth of it; less than the scaling interval.
   */
  readonly settleSeconds: number;
  /** Stabilization window: a cluster shrinks only when every recommendation within it was lower. At least two scaling intervals. */
  readonly windowSeconds: number;
  /** The largest factor by which one round may multiply the size. */
  readonly growthFactor: number;
  /** The largest share of members that one round may remove; at least one member. */
  readonly shrinkShare: number;
  /** Flap budget: members that may join or leave by scaling within `budgetSeconds`. */
  readonly budgetChanges: number;
  readonly budgetSeconds: number;
  /** At most one change of direction within this time. */
  readonly reversalSeconds: number;
  /** How long a recommendation that was rolled back stays blocked. */
  readonly blockSeconds: number;
  readonly soakGrowSeconds: number;
  readonly soakShrinkSeconds: number;
  /** A soak passes at this score; `stability_score` in the configuration. */
  readonly passScore: number;
  /** A soak also passes at a score at most this much below the score before the change. */
  readonly passSlack: number;
  /** How many of a soak's last samples must all pass. */
  readonly passSamples: number;
}

export const defaultScalingRules: ScalingRules = {
  targetUsage: 0.65,
  highUsage: 0.8,
  lowUsage: 0.5,
  urgentUsage: 0.95,
  afterUsage: 0.72,
  tolerance: 0.1,
  drainSeconds: 300,
  halfLifeSeconds: 60,
  samplePeriodSeconds: 15,
  staleAfterPeriods: 3,
  newMemberSeconds: 30,
  settleSeconds: 240,
  windowSeconds: 1200,
  growthFactor: 2,
  shrinkShare: 0.2,
  budgetChanges: 4,
  budgetSeconds: 3600,
  reversalSeconds: 1800,
  blockSeconds: 1800,
  soakGrowSeconds: 60,
  soakShrinkSeconds: 120,
  passScore: 0.9,
  passSlack: 0.02,
  passSamples: 3,
};

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
