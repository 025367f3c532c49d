import { fourDecimals } from './four-decimals.js';

/** The numbers that scaling decides by. Ratios are 0..1 of capacity, times are seconds. */
export interface ScalingRules {
  /** Where usage is meant to be: lower grows earlier and costs more, higher leaves less room for a burst. */
  readonly targetUsage: number;
  /** Growing starts above it; the configuration's `resource_usage`. */
  readonly highUsage: number;
  /** Shrinking is thought of below it only. */
  readonly lowUsage: number;
  /** Above it in two samples nobody waits for the interval. */
  readonly urgentUsage: number;
  /** The most that the remaining members may be used after shrinking. Must stay below `highUsage`, or sizes swing. */
  readonly afterUsage: number;
  /** A term of the formula this near to the present size is the present size. */
  readonly tolerance: number;
  /** Waiting work is to be done within this time. */
  readonly drainSeconds: number;
  readonly halfLifeSeconds: number;
  readonly samplePeriodSeconds: number;
  /** A reading older than this many sample periods is stale. */
  readonly staleAfterPeriods: number;
  /** A member this young has no say yet: what it reports is its start, not its work. */
  readonly newMemberSeconds: number;
  /**
   * So long after a member joined the average still remembers the smaller cluster: what falls meanwhile is no reason to
   * grow further. Four half-lives, of which a sixteenth is left; less than the scaling interval.
   */
  readonly settleSeconds: number;
  /** Shrinking waits until every recommendation of this time was lower. At least two scaling intervals. */
  readonly windowSeconds: number;
  /** The most a round may multiply the size by. */
  readonly growthFactor: number;
  /** The most a round may take away, or one member where that is less than one. */
  readonly shrinkShare: number;
  /** Members joining or leaving by scaling within `budgetSeconds`. */
  readonly budgetChanges: number;
  readonly budgetSeconds: number;
  /** One change of direction within this time. */
  readonly reversalSeconds: number;
  /** How long a recommendation that had to be rolled back is not followed again. */
  readonly blockSeconds: number;
  readonly soakGrowSeconds: number;
  readonly soakShrinkSeconds: number;
  /** A soak passes at this score; the configuration's `stability_score`. */
  readonly passScore: number;
  /** Or when it is at most this much below the score before. */
  readonly passSlack: number;
  /** The last samples of a soak that must all pass. */
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
 * The rules under another `resource_usage`: a lower one draws the target, the low mark and the after-state with it, in
 * the proportions of the defaults. Left where they are, a cluster would shrink into what it then grows out of.
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
