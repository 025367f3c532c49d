/**
 * Runs items by their order, up to `concurrency` at once, but those of one key strictly one after the other.
 * @param run must not reject.
 */
export function createKeyedQueue<Item>(concurrency: number, run: (item: Item) => Promise<void>) {
  let waiting: { readonly key: string; readonly order: number; readonly item: Item }[] = [];
  const busyKeys = new Set<string>();
  const running = new Set<Promise<void>>();
  let isClosed = false;

  const startNext = (): void => {
    while (!isClosed && running.size < concurrency) {
      const index = waiting.findIndex(({ key }) => !busyKeys.has(key));
      const [next] = index < 0 ? [] : waiting.splice(index, 1);
      if (!next) return;
      busyKeys.add(next.key);
      const work = run(next.item).finally(() => {
        running.delete(work);
        busyKeys.delete(next.key);
        startNext();
      });
      running.add(work);
    }
  };
  return {
    /** @param order position in the queue; items may arrive out of order. */
    push: (key: string, order: number, item: Item): void => {
      if (isClosed) return;
      const before = waiting.findLastIndex((other) => other.order <= order);
      waiting.splice(before + 1, 0, { key, order, item });
      startNext();
    },
    /** Items waiting and running. */
    size: (): number => waiting.length + running.size,
    /** Drops the waiting items and starts no more. Resolves when the running ones have ended. */
    close: async (): Promise<void> => {
      isClosed = true;
      waiting = [];
      await Promise.all(running);
    },
  };
}
