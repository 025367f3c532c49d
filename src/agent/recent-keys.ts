export type RecentKeys = ReturnType<typeof createRecentKeys>;

/** A set that keeps only its newest keys. @param capacity bounds the memory of an agent that runs for years. */
export function createRecentKeys(capacity: number) {
  const keys = new Set<string>();
  return {
    has: (key: string): boolean => keys.has(key),
    add: (key: string): void => {
      keys.add(key);
      if (keys.size <= capacity) return;
      // A set iterates in insertion order: the first key is the oldest.
      for (const oldest of keys) return void keys.delete(oldest);
    },
  };
}
