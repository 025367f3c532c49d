import type { FormationSpec } from '../../contracts/formation.js';

/** An agent that the store found eligible: valid lease, ready, labels match, capacity and resources free. */
export interface Candidate {
  readonly id: string;
  readonly host: string | null;
  readonly zone: string | null;
  /** Tokens, compared literally. A versioned capability is listed twice: `translate` and `translate@1.2`. */
  readonly capabilities: readonly string[];
  /** In-flight work over concurrency, 0..1, as the agent reports it. */
  readonly load: number;
  /** The highest used/offered ratio of its resources, this formation's reservation included, 0..1. */
  readonly usageRatio: number;
  /** Memberships held over `maxClusters`, 0..1. */
  readonly clusterRatio: number;
  /** How often it went down and came back within the flap window. */
  readonly recentFlaps: number;
}

/** Each role is a position in a cluster: at least `min` (hard) and at most `max` members with `capability` hold it. */
export type Role = FormationSpec['roles'][number];

export type Spread = NonNullable<FormationSpec['spread']>;

/** The attributes of a member that a request is checked against. */
export interface Placed extends Pick<Candidate, 'id' | 'host' | 'zone' | 'capabilities'> {
  readonly roles: readonly string[];
}

/** The part of a request that decides whether a set of members is a valid cluster. */
export type FormationRule = Pick<FormationSpec, 'requiredCapabilities' | 'roles' | 'size' | 'spread'>;

/** A rule for a cluster of which the kept members are part already. */
export type RuleWithKept = FormationRule & { readonly kept?: readonly { readonly id: string }[] };

export interface MatchRequest extends FormationRule {
  /** Members that stay during a repair. They count toward size, coverage, roles and spread. Empty for a new cluster. */
  readonly kept: readonly (Candidate & { readonly roles: readonly string[] })[];
  /** Seeds the stable hash that breaks ties; the operation id. */
  readonly seed: string;
}

export interface Member {
  readonly agentId: string;
  /** At most one of the request's roles, or empty. */
  readonly roles: readonly string[];
}

export interface Match {
  /** Additions only, in order of choice. With a shortfall: the best set found. */
  readonly members: readonly Member[];
  /** Ids of unchosen agents, best substitute first, at most 2 x `size.desired`. */
  readonly alternates: readonly string[];
  /** Empty means feasible. */
  readonly shortfall: readonly Shortfall[];
}

/**
 * One reason why a set of agents does not satisfy a request.
 * - `capability`: no eligible agent (or, for a finished set, no member) has it.
 * - `role`: `found` agents can hold it, outside min..max.
 * - `size`: `found` agents, outside min..max.
 * - `spread`: of `needed` members at most `allowedPerGroup` may share a host or zone, and only `placeable` could be
 *   placed so; `unknown` agents report no host or zone and cannot be placed.
 * - `room`: each need can be met on its own, but `max` members cannot meet all of them; `unmet` names capabilities and roles.
 */
export type Shortfall =
  | { readonly kind: 'capability'; readonly capability: string; readonly found: 0 }
  | {
      readonly kind: 'role';
      readonly role: string;
      readonly capability: string;
      readonly min: number;
      readonly max: number;
      readonly found: number;
    }
  | { readonly kind: 'size'; readonly min: number; readonly max: number; readonly found: number }
  | {
      readonly kind: 'spread';
      readonly by: 'host' | 'zone';
      readonly needed: number;
      readonly allowedPerGroup: number;
      readonly placeable: number;
      readonly unknown: number;
    }
  | { readonly kind: 'room'; readonly max: number; readonly unmet: readonly string[] };
