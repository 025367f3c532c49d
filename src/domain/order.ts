/** Orders texts by code unit, the same on every machine. */
export const byText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** The first of the items with the highest value; undefined when there are none. */
export const highestBy = <Item>(items: readonly Item[], valueOf: (item: Item) => number): Item | undefined =>
  items.reduce<Item | undefined>(
    (most, item) => (most === undefined || valueOf(item) > valueOf(most) ? item : most),
    undefined,
  );
