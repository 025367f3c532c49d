/** A binary heap of small integers. The order `before(a, b)` must not change while both are in the heap. */
export const createHeap = (before: (a: number, b: number) => boolean) => {
  const items: number[] = [];
  const at = (index: number): number => items[index] as number;

  const up = (start: number): void => {
    let index = start;
    const item = at(index);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!before(item, at(parent))) break;
      items[index] = at(parent);
      index = parent;
    }
    items[index] = item;
  };

  const down = (): void => {
    const item = at(0);
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= items.length) break;
      if (child + 1 < items.length && before(at(child + 1), at(child))) child += 1;
      if (!before(at(child), item)) break;
      items[index] = at(child);
      index = child;
    }
    items[index] = item;
  };

  return {
    push: (item: number): void => {
      items.push(item);
      up(items.length - 1);
    },
    /** The first, or undefined when empty. */
    pop: (): number | undefined => {
      const first = items[0];
      const last = items.pop();
      if (items.length > 0 && last !== undefined) {
        items[0] = last;
        down();
      }
      return first;
    },
  };
};
