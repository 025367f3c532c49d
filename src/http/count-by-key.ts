/** Counts what is open for each key: requests of a token, streams of an agent. */
export class CountByKey {
  readonly #counts = new Map<string, number>();

  countOf(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  /** @returns a function that takes the one added away again; call it once. */
  add(key: string): () => void {
    this.#counts.set(key, this.countOf(key) + 1);
    return () => {
      const left = this.countOf(key) - 1;
      if (left > 0) this.#counts.set(key, left);
      else this.#counts.delete(key);
    };
  }
}
