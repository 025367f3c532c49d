/** Named amounts: stocks (slots, memoryMiB) and rates (tokensPerMinute) alike. */
export type Amounts = Readonly<Record<string, number>>;

/** A claim on shared capacity, usually by a cluster, in whole units (usually members) of a fixed size. */
export interface Claim {
  readonly id: string;
  /** Above 0. Twice the weight gets twice the share. */
  readonly weight: number;
  /** Amounts that one unit takes. */
  readonly perUnit: Amounts;
  /** Total units, including those already held. */
  readonly wanted: number;
  /** Units already held. They are never taken away. */
  readonly held?: number;
  /** Units served before any claim gets more than its guarantee; they may use the headroom. */
  readonly guaranteed?: number;
  /** Upper bound by resource. A quota below the amount held takes nothing away. */
  readonly quota?: Amounts;
  /** Among equal shares the claim that has waited longest is served first. */
  readonly waitingSinceMs?: number;
}

/**
 * Why a claim was not fully granted.
 * - `capacity`: the next unit does not fit into the free capacity. `headroom`: it would fit only into the headroom.
 * - `too_large`: one unit does not fit into the whole capacity. `not_offered`: no agent or pool offers the resource.
 * - `quota`: the next unit would exceed the quota. `invalid`: the claim itself is malformed.
 */
export interface Limit {
  readonly reason: 'capacity' | 'headroom' | 'too_large' | 'not_offered' | 'quota' | 'invalid';
  /** Null for `invalid`. */
  readonly resource: string | null;
  /** One sentence with the numbers. */
  readonly detail: string;
}

/** `position` 1 gets the next unit that becomes free; null when no freed unit would help. */
export type Answer =
  | { readonly kind: 'granted' }
  | { readonly kind: 'partial'; readonly position: number | null; readonly why: Limit }
  | { readonly kind: 'queued'; readonly position: number; readonly why: Limit }
  | { readonly kind: 'denied'; readonly why: Limit };

export interface Share {
  readonly id: string;
  /** Total units, including those held before. */
  readonly units: number;
  /** Newly granted units. */
  readonly added: number;
  /** The claim's largest share of any resource: 0..1, above 1 when less is offered than it already held. */
  readonly dominantShare: number;
  /** The resource of that share; null when a unit takes nothing. */
  readonly dominantResource: string | null;
  readonly answer: Answer;
}

export interface Allocation {
  /** In the order of the claims. */
  readonly shares: readonly Share[];
  /** Free amount of each resource, headroom included; below 0 when less is offered than was already held. */
  readonly free: Amounts;
  /**
   * Jain's index of dominant share / weight over the waiting claims and the claims that hold at least as much as one of
   * them. Satisfied claims with less than every waiting claim, and denied claims, do not count. 1 when no claim waits.
   */
  readonly jain: number;
}

/** Describes what is malformed in a claim, or returns null. */
export const invalidClaim = ({
  weight,
  perUnit,
  wanted,
  held = 0,
  guaranteed = 0,
  quota = {},
}: Claim): string | null => {
  if (!(weight > 0) || !Number.isFinite(weight)) return `weight is ${weight}; it must be a number above 0`;
  for (const [name, units] of Object.entries({ wanted, held, guaranteed })) {
    if (!Number.isSafeInteger(units) || units < 0)
      return `${name} is ${units}; it must be a whole number of units, 0 or more`;
  }
  for (const [name, amount] of [...Object.entries(perUnit), ...Object.entries(quota)]) {
    if (!isAmount(amount)) return `${name} is ${amount}; an amount must be 0 to ${largestAmount}`;
  }
  return null;
};

/** The contracts' bound of an amount: an exact integer when counted in thousandths. */
const largestAmount = 1e12;

export const isAmount = (amount: number): boolean => amount >= 0 && amount <= largestAmount;
