interface Waiting<Item, Result> {
  readonly items: readonly Item[];
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: calls that arrive while a transaction runs share the next one. A call that arrives while none runs is
 * committed at once, so that an idle server adds no latency.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (items: readonly Item[]) => Promise<Result[]>;
  readonly #maxItems: number;
  #waiting: Waiting<Item, Result>[] = [];
  #isCommitting = false;

  /**
   * @param commit returns a result for each item, in order.
   * @param maxItems the most items of several calls in one commit. A call with a fifth of them is committed by itself.
   * Higher shares a transaction among more calls; each of them then waits for a longer transaction.
   */
  constructor(commit: (items: readonly Item[]) => Promise<Result[]>, maxItems: number) {
    this.#commit = commit;
    this.#maxItems = maxItems;
  }

  /** @returns a result for each item, in the order given. */
  async add(items: readonly Item[]): Promise<Result[]> {
    if (items.length * 5 >= this.#maxItems) return this.#commit(items);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ items, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    if (this.#isCommitting || this.#waiting.length === 0) return;
    let amount = 0;
    let calls = 0;
    for (const { items } of this.#waiting) {
      if (calls > 0 && amount + items.length > this.#maxItems) break;
      amount += items.length;
      calls += 1;
    }
    const taken = this.#waiting.splice(0, calls);
    this.#isCommitting = true;
    void this.#run(taken).finally(() => {
      this.#isCommitting = false;
      this.#next();
    });
  }

  async #run(calls: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#commit(calls.flatMap(({ items }) => items));
      let from = 0;
      for (const { items, resolve } of calls) {
        resolve(results.slice(from, from + items.length));
        from += items.length;
      }
    } catch (error) {
      if (calls.length === 1) return calls[0]?.reject(error);
      // One call may have failed the others: each is tried by itself.
      await Promise.all(calls.map(({ items, resolve, reject }) => this.#commit(items).then(resolve, reject)));
    }
  }
}
