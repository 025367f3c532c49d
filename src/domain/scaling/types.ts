import type { FormationRule, Placed } from '../formation/types.js';
import type { Ewma } from './ewma.js';

export type Direction = 'out' | 'in';

export interface ScalingMember extends Placed {
  /** Its lease is valid and it takes or does work: `ready` or `busy`. Everything else counts as unhealthy. */
  readonly ready: boolean;
  readonly joinedAtMs: number;
  /** What it offers of each resource, >= 0. */
  readonly offers: Readonly<Record<string, number>>;
  /** Smoothed used / offered of each resource it reports. */
  readonly usage: Readonly<Record<string, Ewma>>;
}

/** The work of a cluster, in slots: a slot is one task in flight. */
export interface Work {
  readonly inFlight: number;
  /** Tasks that wait for a slot. */
  readonly backlog: number;
  /** Tasks one slot finishes in a second; null when nothing was finished lately. */
  readonly tasksPerSlotSecond: number | null;
  readonly slotsPerMember: number;
}

/** Members that joined or left a cluster. */
export interface Change {
  readonly atMs: number;
  readonly direction: Direction;
  /** How many. */
  readonly members: number;
  /** Replacing the dead is neither counted nor a change of direction. */
  readonly cause: 'scaling' | 'asked' | 'rollback' | 'rebalance' | 'replacement';
}

/** A recommendation that had to be rolled back: not followed again until then. */
export interface Block {
  readonly direction: Direction;
  readonly desired: number;
  readonly untilMs: number;
}

/** Everything a decision about one cluster rests on. */
export interface ClusterFacts {
  readonly nowMs: number;
  /** The cluster's spec: size bounds, coverage, roles, spread. */
  readonly rule: FormationRule;
  readonly members: readonly ScalingMember[];
  /** Null where the cluster tells nothing about its work. */
  readonly work: Work | null;
  /** Members that were asked for and could not be had, and are still waited for. */
  readonly waitedFor: number;
  /** A size somebody asks for; the formula is then only told. */
  readonly asked: number | null;
  /** Who is to leave when what was asked for is smaller; null leaves it to the order of victims. */
  readonly release: readonly string[] | null;
  /** What earlier assessments of the last `windowSeconds` recommended. */
  readonly recommendations: readonly { readonly atMs: number; readonly desired: number }[];
  /** Since when recommendations have been recorded without a gap: at earliest the cluster's activation. */
  readonly watchedSinceMs: number;
  /** Changes of the last `budgetSeconds` + `reversalSeconds`. */
  readonly changes: readonly Change[];
  /** Members lost and not yet replaced: taking their place costs no flap budget. */
  readonly unreplaced: number;
  readonly blocks: readonly Block[];
}

/** Usage of one resource over the whole cluster, ratios of 0..2 with four decimals. */
export interface ResourceUsage {
  readonly resource: string;
  /** Of all members together. */
  readonly capacity: number;
  /** With members that told nothing counted as idle: what growing goes by. */
  readonly out: number;
  /** `out` one sample earlier. */
  readonly outBefore: number;
  /** With members that told nothing counted as full: what shrinking goes by. */
  readonly in: number;
  /** Members of which nothing (fresh) is known, or that are not ready or too new to be heard. */
  readonly silent: number;
}

export interface Usage {
  readonly resources: readonly ResourceUsage[];
  /** The highest over all resources; null when nothing is measured. */
  readonly out: number | null;
  readonly outBefore: number | null;
  readonly in: number | null;
  /** The resources with the highest `out` and `in`. */
  readonly outResource: string | null;
  readonly inResource: string | null;
  /** Offered, but reported by nobody: they have no part in the decision. */
  readonly unmeasured: readonly string[];
  /** Ids of members with a stale reading. */
  readonly stale: readonly string[];
}

/** `members` = ceil(`exact`), or the present size where it is within the tolerance of it. */
export interface Term {
  readonly exact: number;
  readonly members: number;
}

/** desired = max(ceil(n u / target), ceil(slots needed / slots a member), n + members waited for). */
export interface Formula {
  readonly usage: (Term & { readonly ratio: number }) | null;
  readonly work: (Term & { readonly slots: number }) | null;
  readonly unmet: number;
  /** The largest of the terms; the present size where there is none. */
  readonly desired: number;
}

/** A bound that changed the wish: from what to what. */
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

/** Why a wish was not followed at all. */
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
  /** Members now, and to be. Equal when nothing is to be done. */
  readonly from: number;
  readonly desired: number;
  /** `now` does not wait for the interval: below the minimum, usage above .95 twice. */
  readonly urgency: 'now' | 'interval';
  /** Why the size is to change: what the formula says, what was asked, or bounds the size is outside of. */
  readonly because: 'formula' | 'asked' | 'below_minimum' | 'above_maximum';
  /** What was wished for before clamps and vetoes; `from` when nothing was. */
  readonly wished: number;
  /** To be recorded: what the formula, at its most careful, holds for needed within the bounds. */
  readonly recommendation: number;
  /** Ids of the members to leave, in order. */
  readonly victims: readonly string[];
  /** Of the members that join or leave, how many count against the flap budget: not those that replace the dead. */
  readonly charged: number;
  readonly usage: Usage;
  /** The formula as growing sees it, and as shrinking does. */
  readonly formula: { readonly out: Formula; readonly in: Formula };
  /** Shrinking only: the fullest resource once the victims are gone. */
  readonly after: { readonly resource: string; readonly usage: number } | null;
  /** Members waited for, as given. */
  readonly waitedFor: number;
  readonly work: Work | null;
  readonly size: { readonly min: number; readonly max: number };
  readonly clamps: readonly Clamp[];
  readonly vetoes: readonly Veto[];
}
