import { createHeap } from './heap.js';

/** Claims as rows of numbers. Amounts are integers (thousandths), so that sums are exact and nothing is over-committed. */
export interface Filling {
  /** Resources; a row of `perUnit` has as many columns. */
  readonly width: number;
  /** Amounts that one unit takes, row by row. */
  readonly perUnit: Float64Array;
  /** Weighted dominant share of one unit. */
  readonly step: Float64Array;
  /** Units held so far; increased in place. */
  readonly units: Float64Array;
  /** Amount in use of each resource; increased in place. */
  readonly used: Float64Array;
}

/**
 * Gives units one at a time to the claim with the lowest weighted dominant share, until no claim below its limit has a
 * next unit that fits. A claim whose unit does not fit is dropped, since free capacity only decreases.
 * Claims with equal shares are served in the order of their rows.
 * @param limits the most units of each claim.
 * @param ceilings the most to be used of each resource.
 * Source: progressive filling of dominant shares, Ghodsi et al., "Dominant Resource Fairness", NSDI 2011, algorithm 1.
 */
export const fillProgressively = (filling: Filling, limits: Float64Array, ceilings: Float64Array): void => {
  const { width, perUnit, step, units, used } = filling;
  const keys = new Float64Array(units.length);
  const heap = createHeap((a, b) => {
    const difference = (keys[a] as number) - (keys[b] as number);
    return difference < 0 || (difference === 0 && a < b);
  });
  const enter = (row: number): void => {
    if ((units[row] as number) >= (limits[row] as number)) return;
    keys[row] = (units[row] as number) * (step[row] as number);
    heap.push(row);
  };
  for (let row = 0; row < units.length; row += 1) enter(row);

  for (let row = heap.pop(); row !== undefined; row = heap.pop()) {
    if (misfit(filling, row, ceilings) >= 0) continue;
    for (let column = 0; column < width; column += 1) {
      used[column] = (used[column] as number) + (perUnit[row * width + column] as number);
    }
    // A unit that takes no resource is granted without competition.
    units[row] = step[row] === 0 ? (limits[row] as number) : (units[row] as number) + 1;
    enter(row);
  }
};

/** The first resource of which the row's next unit does not fit below the ceilings, or -1. */
export const misfit = ({ width, perUnit, used }: Filling, row: number, ceilings: Float64Array): number => {
  for (let column = 0; column < width; column += 1) {
    const amount = perUnit[row * width + column] as number;
    if (amount > 0 && (used[column] as number) + amount > (ceilings[column] as number)) return column;
  }
  return -1;
};
