interface Waiting<Item, Result> {
  readonly items: readonly Item[];
  readonly resolve: (results: Result[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: what arrives while a transaction is on its way shares the next one. The first one goes at once, so
 * nobody waits for company.
 */
export class GroupCommit<Item, Result> {
  readonly #commit: (items: readonly Item[]) => Promise<Result[]>;
  readonly #atOnce: number;
  #waiting: Waiting<Item, Result>[] = [];
  #isCommitting = false;

  /**
   * @param commit gives a result for each item, in order.
   * @param atOnce items of several calls that one commit takes at most; a call with a fifth of them goes by itself.
   */
  constructor(commit: (items: readonly Item[]) => Promise<Result[]>, atOnce: number) {
    this.#commit = commit;
    this.#atOnce = atOnce;
  }

  /** @returns a result for each item, in the order given. */
  async add(items: readonly Item[]): Promise<Result[]> {
    if (items.length * 5 >= this.#atOnce) return this.#commit(items);
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
      if (calls > 0 && amount + items.length > this.#atOnce) break;
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
      // One call's trouble is not the others': each is tried by itself.
      await Promise.all(calls.map(({ items, resolve, reject }) => this.#commit(items).then(resolve, reject)));
    }
  }
}
