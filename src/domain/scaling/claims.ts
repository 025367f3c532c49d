/** Named amounts: stocks (slots, memoryMiB) and rates (tokensPerMinute) alike. */
export type Amounts = Readonly<Record<string, number>>;

/** What one party, usually a cluster, wants of the shared capacity: whole units, usually members, of a fixed size. */
export interface Claim {
  readonly id: string;
  /** Above 0; twice the weight is twice the share. */
  readonly weight: number;
  /** What one unit takes. */
  readonly perUnit: Amounts;
  /** Units in all, those already held included. */
  readonly wanted: number;
  /** Units it has and keeps: nothing is taken away. */
  readonly held?: number;
  /** Units served before anybody gets more than its own guarantee, and from the headroom too. */
  readonly guaranteed?: number;
  /** The most it may have in all, by resource. One that is below what is held takes nothing away. */
  readonly quota?: Amounts;
  /** Who has waited longer comes first where shares are equal. */
  readonly waitingSinceMs?: number;
}

/**
 * Why a claim did not get everything.
 * - `capacity`: the next unit does not fit into what is left. `headroom`: it would, but that is kept free.
 * - `too_large`: not even one unit would fit if nobody else held anything. `not_offered`: nobody offers the resource.
 * - `quota`: it has, with the next unit, more than it may. `invalid`: the claim itself makes no sense.
 */
export interface Limit {
  readonly reason: 'capacity' | 'headroom' | 'too_large' | 'not_offered' | 'quota' | 'invalid';
  /** Null for `invalid`. */
  readonly resource: string | null;
  /** One sentence with the numbers. */
  readonly detail: string;
}

/** `position` 1 is who gets the next unit that becomes free; null where no unit that becomes free would help. */
export type Answer =
  | { readonly kind: 'granted' }
  | { readonly kind: 'partial'; readonly position: number | null; readonly why: Limit }
  | { readonly kind: 'queued'; readonly position: number; readonly why: Limit }
  | { readonly kind: 'denied'; readonly why: Limit };

export interface Share {
  readonly id: string;
  /** Units in all, those held before included. */
  readonly units: number;
  /** Units that are new. */
  readonly added: number;
  /** The largest part it has of any resource: 0..1, above 1 where less is offered than it held before. */
  readonly dominantShare: number;
  /** The resource it has this part of; null when its units take nothing. */
  readonly dominantResource: string | null;
  readonly answer: Answer;
}

export interface Allocation {
  /** In the order of the claims. */
  readonly shares: readonly Share[];
  /** What is left of each resource, headroom included; below 0 where less is offered than was held before. */
  readonly free: Amounts;
  /**
   * Jain's index of dominant share / weight, over those that wait and those that have no less than one who waits: who
   * wants no more and has less than everybody waiting does not make it unfair, nor does who was denied. 1 when nobody waits.
   */
  readonly jain: number;
}

/** What is wrong with a claim in itself, or null. */
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

/** As the contracts' bound of an amount: in thousandths it is still an exact integer. */
const largestAmount = 1e12;

export const isAmount = (amount: number): boolean => amount >= 0 && amount <= largestAmount;
