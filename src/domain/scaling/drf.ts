import { byText } from '../order.js';
import {
  invalidClaim,
  isAmount,
  type Allocation,
  type Amounts,
  type Answer,
  type Claim,
  type Limit,
  type Share,
} from './claims.js';
import { jainIndex } from './jain.js';
import { fillProgressively, misfit, type Filling } from './progressive-filling.js';

/** The share of each resource that only guarantees and explicit requests may use. */
export const defaultHeadroom = 0.1;
/** Amounts are integers in thousandths: claims are rounded up, capacity and quotas down. */
const precision = 1000;
const roundUp = (amount: number): number => (amount > 0 ? Math.max(1, Math.ceil(amount * precision - 1e-6)) : 0);
const roundDown = (amount: number): number => Math.floor(amount * precision + 1e-6);

/**
 * Shares capacity among claims by weighted dominant resource fairness: the lowest dominant share is served first. Held
 * units stay. Guarantees are filled first, from the whole capacity; then every claim up to its wanted units, from the
 * capacity without the headroom. Quotas bound each claim. The result does not depend on the order of the claims. Time is
 * n log n in the number of units granted.
 * @param input.capacity total amount of each resource; an invalid amount counts as 0.
 * @param input.taken amounts in use outside the claims.
 * @param input.headroom share of each resource reserved for guarantees, 0..1: one value, or by name (default 0.1).
 * Source: Ghodsi et al., "Dominant Resource Fairness", NSDI 2011.
 * @example 9 cpu and 18 memory, A's unit (1, 4), B's (3, 1), no headroom: A gets 3, B gets 2.
 */
export const allocate = (input: {
  readonly capacity: Amounts;
  readonly taken?: Amounts;
  readonly claims: readonly Claim[];
  readonly headroom?: number | Amounts;
}): Allocation => {
  const { claims } = input;
  const rows = claims
    .filter((claim) => invalidClaim(claim) === null)
    .sort((a, b) => (a.waitingSinceMs ?? Infinity) - (b.waitingSinceMs ?? Infinity) || byText(a.id, b.id));
  const names = [...new Set([...Object.keys(input.capacity), ...rows.flatMap(({ perUnit }) => Object.keys(perUnit))])];
  names.sort();
  const table = tableOf(rows, names, input);
  const { filling, wanted, bounds, whole, ordinary } = table;

  fillProgressively(
    filling,
    bounds.map((bound, row) => Math.min(bound, rows[row]?.guaranteed ?? 0)),
    whole,
  );
  fillProgressively(filling, bounds, ordinary);

  const limits = rows.map((claim, row) =>
    (filling.units[row] as number) < (wanted[row] as number) ? limitOf(claim, row, names, table) : null,
  );
  const level = (row: number): number => (filling.units[row] as number) * (filling.step[row] as number);
  const order = rows.map((_, row) => row).sort((a, b) => level(a) - level(b) || a - b);
  const waiting = order.filter((row) => limits[row]?.reason === 'capacity' || limits[row]?.reason === 'headroom');
  const positions = new Map(waiting.map((row, index) => [row, index + 1]));

  const shares = new Map(
    rows.map((claim, row): [Claim, Share] => {
      const units = filling.units[row] as number;
      const dominant = dominantOf(filling, row, whole);
      return [
        claim,
        {
          id: claim.id,
          units,
          added: units - (claim.held ?? 0),
          dominantShare: units * dominant.share,
          dominantResource: names[dominant.column] ?? null,
          answer: answerOf(limits[row] ?? null, positions.get(row) ?? null, units > (claim.held ?? 0)),
        },
      ];
    }),
  );
  const lowest = waiting[0];
  const counts = (row: number): boolean => (limits[row] === null ? (wanted[row] as number) > 0 : positions.has(row));
  const compared =
    lowest === undefined ? [] : order.filter((row) => counts(row) && level(row) >= level(lowest)).map(level);
  return {
    shares: claims.map((claim) => shares.get(claim) ?? invalidShare(claim)),
    free: Object.fromEntries(
      names.map((name, column) => [name, ((whole[column] as number) - (filling.used[column] as number)) / precision]),
    ),
    jain: jainIndex(compared),
  };
};

interface Table {
  readonly filling: Filling;
  readonly wanted: Float64Array;
  /** Upper bound of each claim's units: the wanted units within its quota, but not less than it holds. */
  readonly bounds: Float64Array;
  readonly whole: Float64Array;
  /** `whole` without the headroom. */
  readonly ordinary: Float64Array;
}

const tableOf = (
  rows: readonly Claim[],
  names: readonly string[],
  {
    capacity,
    taken = {},
    headroom = defaultHeadroom,
  }: { capacity: Amounts; taken?: Amounts; headroom?: number | Amounts },
): Table => {
  const width = names.length;
  const shareOf = (name: string): number =>
    typeof headroom === 'number' ? headroom : Object.hasOwn(headroom, name) ? (headroom[name] ?? 0) : defaultHeadroom;
  const amountOf = (amounts: Amounts, name: string): number => {
    const amount = Object.hasOwn(amounts, name) ? amounts[name] : undefined;
    return amount !== undefined && isAmount(amount) ? amount : 0;
  };
  const whole = Float64Array.from(names, (name) => roundDown(amountOf(capacity, name)));
  const filling: Filling = {
    width,
    perUnit: new Float64Array(rows.length * width),
    step: new Float64Array(rows.length),
    units: Float64Array.from(rows, ({ held = 0 }) => held),
    used: Float64Array.from(names, (name) => roundUp(amountOf(taken, name))),
  };
  const bounds = new Float64Array(rows.length);
  for (const [row, claim] of rows.entries()) {
    let most = claim.wanted;
    for (const [column, name] of names.entries()) {
      const amount = roundUp(amountOf(claim.perUnit, name));
      filling.perUnit[row * width + column] = amount;
      filling.used[column] = (filling.used[column] as number) + amount * (claim.held ?? 0);
      if (amount > 0) most = Math.min(most, quotaUnits(claim, name, amount));
    }
    bounds[row] = Math.max(claim.held ?? 0, most);
    filling.step[row] = dominantOf(filling, row, whole).share / claim.weight;
  }
  return {
    filling,
    wanted: Float64Array.from(rows, (claim) => claim.wanted),
    bounds,
    whole,
    ordinary: whole.map((amount, column) => Math.floor(amount * (1 - shareOf(names[column] as string)) + 1e-6)),
  };
};

const quotaUnits = ({ quota }: Claim, name: string, amount: number): number => {
  const most = quota && Object.hasOwn(quota, name) ? quota[name] : undefined;
  return most === undefined ? Infinity : Math.floor(roundDown(most) / amount);
};

/** The largest share of any resource that one unit takes. A resource with no capacity counts as fully taken. */
const dominantOf = (filling: Filling, row: number, whole: Float64Array): { share: number; column: number } => {
  let best = { share: 0, column: -1 };
  for (let column = 0; column < filling.width; column += 1) {
    const amount = filling.perUnit[row * filling.width + column] as number;
    const capacity = whole[column] as number;
    const share = amount === 0 ? 0 : capacity === 0 ? 1 : amount / capacity;
    if (share > best.share) best = { share, column };
  }
  return best;
};

const limitOf = (claim: Claim, row: number, names: readonly string[], table: Table): Limit => {
  const { filling, bounds, whole, ordinary } = table;
  const nameAt = (column: number): string => names[column] as string;
  const amountAt = (column: number): number => filling.perUnit[row * filling.width + column] as number;
  const units = filling.units[row] as number;
  const ceilings = units < (claim.guaranteed ?? 0) ? whole : ordinary;
  const amountText = (amount: number): string => String(amount / precision);
  for (const column of names.keys()) {
    const resource = nameAt(column);
    if (amountAt(column) > 0 && whole[column] === 0) {
      return {
        reason: 'not_offered',
        resource,
        detail: `no agent or pool offers ${resource}; register one that does`,
      };
    }
    if (amountAt(column) > (ceilings[column] as number)) {
      const detail = `one unit takes ${amountText(amountAt(column))} ${resource}, of which at most ${amountText(ceilings[column] as number)} can be allocated`;
      return { reason: 'too_large', resource, detail };
    }
  }
  if (units >= (bounds[row] as number)) {
    const column = names.findIndex((name, at) => amountAt(at) > 0 && quotaUnits(claim, name, amountAt(at)) <= units);
    const resource = nameAt(column);
    const detail = `the quota is ${claim.quota?.[resource]} ${resource}; ${units + 1} units take ${amountText((units + 1) * amountAt(column))}`;
    return { reason: 'quota', resource, detail };
  }
  const short = misfit(filling, row, whole);
  const column = short >= 0 ? short : misfit(filling, row, ceilings);
  const resource = nameAt(column);
  const free = Math.max(0, (whole[column] as number) - (filling.used[column] as number));
  const kept = (whole[column] as number) - (ordinary[column] as number);
  const left = `one unit takes ${amountText(amountAt(column))} ${resource}, ${amountText(free)} is free`;
  return short >= 0
    ? { reason: 'capacity', resource, detail: left }
    : { reason: 'headroom', resource, detail: `${left}, of which ${amountText(kept)} is kept as headroom` };
};

const answerOf = (why: Limit | null, position: number | null, gained: boolean): Answer => {
  if (why === null) return { kind: 'granted' };
  if (gained) return { kind: 'partial', position, why };
  return position === null ? { kind: 'denied', why } : { kind: 'queued', position, why };
};

const invalidShare = (claim: Claim): Share => ({
  id: claim.id,
  units: claim.held ?? 0,
  added: 0,
  dominantShare: 0,
  dominantResource: null,
  answer: { kind: 'denied', why: { reason: 'invalid', resource: null, detail: invalidClaim(claim) ?? '' } },
});
