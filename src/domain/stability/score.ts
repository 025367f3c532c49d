import { majority } from '../formation/quorum.js';
import { jainIndex } from '../scaling/jain.js';

/** Facts about a cluster over the last 600 s. */
export interface StabilityFacts {
  /** Members of the current epoch, including those that are down and not yet replaced. */
  readonly members: number;
  /** Members that respond and can work; null when no member was observed within the window. */
  readonly ready: number | null;
  readonly desired: number;
  readonly min: number;
  /** Members lost without a drain or a leave. Planned scaling does not count. */
  readonly unplannedLosses: number;
  readonly flaps: number;
  /** Deliveries handed over, and how many of them within `communication_latency`. */
  readonly handOvers: { readonly count: number; readonly within: number };
  readonly mail: { readonly sent: number; readonly dead: number; readonly redelivered: number };
  /** In-flight work over concurrency of each member that reported it, 0..1. */
  readonly loads: readonly number[];
}

/** Availability, membership, latency, delivery, balance: each 0..1. */
export interface StabilityParts {
  readonly a: number;
  readonly m: number;
  readonly l: number;
  readonly d: number;
  readonly b: number;
}

export type StabilityCap = 'below_minimum' | 'no_quorum' | 'none_ready';

export interface StabilityScore {
  /** 0..1; null when unknown. Unknown never counts as 1. */
  readonly score: number | null;
  readonly parts: StabilityParts | { readonly [Part in keyof StabilityParts]: null };
  /** The weighted sum before caps; null when the score is null. */
  readonly sum: number | null;
  /** Caps that apply, whether or not they lowered the sum. */
  readonly caps: readonly StabilityCap[];
  /** Parts counted as 1 because too few events were available to measure them. */
  readonly assumed: readonly (keyof StabilityParts)[];
  /** Why the score is unknown; null when it is known. */
  readonly unknown: string | null;
}

export const stabilityWeights: StabilityParts = { a: 0.3, m: 0.25, l: 0.2, d: 0.15, b: 0.1 };
export const stabilityCaps: Readonly<Record<StabilityCap, number>> = {
  below_minimum: 0.85,
  no_quorum: 0.5,
  none_ready: 0,
};

/** With fewer hand-overs, latency is not measured. */
export const fewestHandOvers = 20;
/** Below this mean load, balance is not measured: one task more or less would make an idle cluster look unbalanced. */
export const idleLoad = 0.05;

/**
 * S = 0.30 A + 0.25 M + 0.20 L + 0.15 D + 0.10 B, then caps: below the minimum at most .85, without a majority ready at
 * most .5, with no member ready 0.
 * A = ready / desired; M = e^(-(unplanned losses + flaps) / n), n the larger of members and desired; L = share of
 * deliveries handed over in time; D = 1 - (dead + 0.1 redelivered) / sent; B = Jain's index of the members' load.
 * @example one loss of five, not yet replaced, all else perfect: .3 * 4/5 + .25 * e^(-1/5) + .45 = .895
 */
export const stabilityScore = (facts: StabilityFacts): StabilityScore => {
  const { ready, members, desired } = facts;
  if (ready === null) return unknown('no member has reported within the window');
  if (desired <= 0 && members === 0) return unknown('the cluster has no members and desires none');

  const assumed: (keyof StabilityParts)[] = [];
  const orPerfect = (part: keyof StabilityParts, measured: number | null): number => {
    if (measured === null) assumed.push(part);
    return measured ?? 1;
  };
  const parts: StabilityParts = {
    a: desired <= 0 ? 1 : Math.min(1, ready / desired),
    m: Math.exp(-(facts.unplannedLosses + facts.flaps) / Math.max(1, members, desired)),
    l: orPerfect('l', latencyPart(facts.handOvers)),
    d: orPerfect('d', deliveryPart(facts.mail)),
    b: orPerfect('b', balancePart(facts.loads)),
  };
  const caps: StabilityCap[] = [];
  if (ready < facts.min) caps.push('below_minimum');
  if (ready < majority(members)) caps.push('no_quorum');
  if (ready === 0) caps.push('none_ready');
  const names = Object.keys(stabilityWeights) as (keyof StabilityParts)[];
  const sum = names.reduce((total, part) => total + stabilityWeights[part] * parts[part], 0);
  const score = Math.min(1, sum, ...caps.map((cap) => stabilityCaps[cap]));
  return { score, parts, sum, caps, assumed, unknown: null };
};

const latencyPart = ({ count, within }: StabilityFacts['handOvers']): number | null =>
  count < fewestHandOvers ? null : Math.min(1, within / count);

const deliveryPart = ({ sent, dead, redelivered }: StabilityFacts['mail']): number | null => {
  const harm = dead + 0.1 * redelivered;
  // Messages sent before the window may become dead letters within it.
  if (sent === 0) return harm > 0 ? 1 - Math.min(1, harm) : null;
  return 1 - Math.min(1, harm / sent);
};

const balancePart = (loads: readonly number[]): number | null => {
  if (loads.length === 0) return null;
  const mean = loads.reduce((sum, load) => sum + load, 0) / loads.length;
  return mean < idleLoad ? null : jainIndex(loads);
};

const unknown = (reason: string): StabilityScore => ({
  score: null,
  parts: { a: null, m: null, l: null, d: null, b: null },
  sum: null,
  caps: [],
  assumed: [],
  unknown: reason,
});
