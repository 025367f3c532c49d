import type { FormationRule, Placed } from '../formation/types.js';
import type { Ewma } from './ewma.js';

export type Direction = 'out' | 'in';

export interface ScalingMember extends Placed {
  /** Its lease is valid and its readiness is `ready` or `busy`. Any other state counts as unhealthy. */
  readonly ready: boolean;
  readonly joinedAtMs: number;
  /** Offered amount of each resource, >= 0. */
  readonly offers: Readonly<Record<string, number>>;
  /** Smoothed used / offered of each resource it reports. */
  readonly usage: Readonly<Record<string, Ewma>>;
}

/** The work of a cluster in slots; a slot is one task in flight. */
export interface Work {
  readonly inFlight: number;
  /** Tasks that wait for a slot. */
  readonly backlog: number;
  /** Tasks that one slot finishes in a second; null when none finished recently. */
  readonly tasksPerSlotSecond: number | null;
  readonly slotsPerMember: number;
}

/** Members that joined or left a cluster. */
export interface Change {
  readonly atMs: number;
  readonly direction: Direction;
  /** How many. */
  readonly members: number;
  /** A replacement of lost members costs no budget and is no change of direction. */
  readonly cause: 'scaling' | 'asked' | 'rollback' | 'rebalance' | 'replacement';
}

/** A recommendation that was rolled back and is not followed again until `untilMs`. */
export interface Block {
  readonly direction: Direction;
  readonly desired: number;
  readonly untilMs: number;
}

/** The complete input of a decision about one cluster. */
export interface ClusterFacts {
  readonly nowMs: number;
  /** The cluster's spec: size bounds, coverage, roles, spread. */
  readonly rule: FormationRule;
  readonly members: readonly ScalingMember[];
  /** Null when the cluster reports nothing about its work. */
  readonly work: Work | null;
  /** Unmet capacity: members that an earlier scaling wanted and did not get. */
  readonly waitedFor: number;
  /** An explicitly requested size; the formula is then only reported. */
  readonly asked: number | null;
  /** Agents to remove when the requested size is smaller; null leaves the choice to `chooseVictims`. */
  readonly release: readonly string[] | null;
  /** Recommendations of earlier assessments within the last `windowSeconds`. */
  readonly recommendations: readonly { readonly atMs: number; readonly desired: number }[];
  /** Since when recommendations have been recorded without a gap; not before the cluster's activation. */
  readonly watchedSinceMs: number;
  /** Changes of the last `budgetSeconds` + `reversalSeconds`. */
  readonly changes: readonly Change[];
  /** Members lost and not yet replaced; replacing them costs no flap budget. */
  readonly unreplaced: number;
  readonly blocks: readonly Block[];
}

/** Usage of one resource over the whole cluster, ratios of 0..2 with four decimals. */
export interface ResourceUsage {
  readonly resource: string;
  /** Of all members together. */
  readonly capacity: number;
  /** Members without a reading count as idle; used for growing. */
  readonly out: number;
  /** `out` one sample earlier. */
  readonly outBefore: number;
  /** Members without a reading count as full; used for shrinking. */
  readonly in: number;
  /** Members without a fresh reading, not ready, or too new. */
  readonly silent: number;
}

export interface Usage {
  readonly resources: readonly ResourceUsage[];
  /** The highest over all resources; null when no usage is measured. */
  readonly out: number | null;
  readonly outBefore: number | null;
  readonly in: number | null;
  /** The resources with the highest `out` and `in`. */
  readonly outResource: string | null;
  readonly inResource: string | null;
  /** Resources that are offered but that no member reports; they do not affect the decision. */
  readonly unmeasured: readonly string[];
  /** Ids of members with a stale reading. */
  readonly stale: readonly string[];
}

/** `members` = ceil(`exact`), or the present size where it is within the tolerance of it. */
export interface Term {
  readonly exact: number;
  readonly members: number;
}

/** desired = max(ceil(n u / target), ceil(slots needed / slots a member), n + unmet capacity). */
export interface Formula {
  readonly usage: (Term & { readonly ratio: number }) | null;
  readonly work: (Term & { readonly slots: number }) | null;
  readonly unmet: number;
  /** The largest of the terms; the present size when there is none. */
  readonly desired: number;
}

/** A bound that changed the size aimed for. */
export interface Clamp {
  readonly by:
    | 'minimum'
    | 'maximum'
    | 'doubling'
    | 'settling'
    | 'window'
    | 'step'
    | 'flap_budget'
    | 'reversal'
    | 'blocked'
    | 'after_state'
    | 'safety';
  readonly from: number;
  readonly to: number;
}

/** Why a change was refused entirely. */
export type Veto =
  | { readonly by: 'no_metrics' }
  | { readonly by: 'not_above_high'; readonly usage: number; readonly before: number }
  | { readonly by: 'settling'; readonly usage: number; readonly before: number; readonly untilMs: number }
  | { readonly by: 'not_below_low'; readonly usage: number }
  | { readonly by: 'stale_metrics'; readonly members: readonly string[] }
  | { readonly by: 'unknown_service_rate'; readonly backlog: number }
  | { readonly by: 'window_open'; readonly untilMs: number }
  | { readonly by: 'recommended_lately'; readonly desired: number; readonly atMs: number }
  | { readonly by: 'after_state'; readonly resource: string; readonly usage: number; readonly members: number }
  | { readonly by: 'safety'; readonly reasons: readonly string[] }
  | { readonly by: 'flap_budget'; readonly spent: number; readonly untilMs: number }
  | { readonly by: 'reversal'; readonly untilMs: number }
  | { readonly by: 'blocked'; readonly desired: number; readonly untilMs: number };

export interface Decision {
  readonly direction: Direction | 'none';
  /** Current and desired members; equal when nothing changes. */
  readonly from: number;
  readonly desired: number;
  /** `now` does not wait for the interval: below the minimum, usage above .95 twice. */
  readonly urgency: 'now' | 'interval';
  /** What the size follows from: the formula, an explicit request, or a size outside its bounds. */
  readonly because: 'formula' | 'asked' | 'below_minimum' | 'above_maximum';
  /** The size aimed for before clamps and vetoes. */
  readonly wished: number;
  /** Recorded for later assessments: the size that the conservative formula recommends, within the bounds. */
  readonly recommendation: number;
  /** Ids of the members to remove, in order. */
  readonly victims: readonly string[];
  /** How many of the joining or departing members count against the flap budget; replacements do not. */
  readonly charged: number;
  readonly usage: Usage;
  /** The formula as evaluated for growing and for shrinking. */
  readonly formula: { readonly out: Formula; readonly in: Formula };
  /** Shrinking only: the most used resource after the victims have left. */
  readonly after: { readonly resource: string; readonly usage: number } | null;
  /** Unmet capacity, as given. */
  readonly waitedFor: number;
  readonly work: Work | null;
  readonly size: { readonly min: number; readonly max: number };
  readonly clamps: readonly Clamp[];
  readonly vetoes: readonly Veto[];
}
