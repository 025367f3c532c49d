export interface Lanes<Item> {
  /** @param place among those that wait: what came earlier may have a later one. */
  push(lane: string, place: number, item: Item): void;
  /** Waiting and running. */
  size(): number;
  /** Forgets what waits and starts nothing more. Resolves when what runs has ended. */
  close(): Promise<void>;
}

/**
 * Runs items in the order of their places, up to `concurrency` at once, but those of one lane strictly one after the other.
 * @param run must not reject.
 */
export function createLanes<Item>(concurrency: number, run: (item: Item) => Promise<void>): Lanes<Item> {
  let waiting: { readonly lane: string; readonly place: number; readonly item: Item }[] = [];
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  let closed = false;

  const startNext = (): void => {
    while (!closed && running.size < concurrency) {
      const at = waiting.findIndex(({ lane }) => !busy.has(lane));
      const [next] = at < 0 ? [] : waiting.splice(at, 1);
      if (!next) return;
      busy.add(next.lane);
      const work = run(next.item).finally(() => {
        running.delete(work);
        busy.delete(next.lane);
        startNext();
      });
      running.add(work);
    }
  };
  return {
    push: (lane, place, item) => {
      if (closed) return;
      const before = waiting.findLastIndex((each) => each.place <= place);
      waiting.splice(before + 1, 0, { lane, place, item });
      startNext();
    },
    size: () => waiting.length + running.size,
    close: async () => {
      closed = true;
      waiting = [];
      await Promise.all(running);
    },
  };
}
