/** The newest of many keys. */
export interface Memory {
  has(key: string): boolean;
  add(key: string): void;
}

/** @param most bounded, as an agent may run for years. */
export function createMemory(most: number): Memory {
  const keys = new Set<string>();
  return {
    has: (key) => keys.has(key),
    add: (key) => {
      keys.add(key);
      if (keys.size <= most) return;
      for (const oldest of keys) {
        keys.delete(oldest);
        break;
      }
    },
  };
}
