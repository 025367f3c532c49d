import type { Lane } from './lane.js';

/** Lends lanes to tests that run side by side: each has one for itself as long as it works. */
export function lanePool(lanes: readonly Lane[]): <Result>(work: (lane: Lane) => Promise<Result>) => Promise<Result> {
  const free = [...lanes];
  const waiting: ((lane: Lane) => void)[] = [];
  return async (work) => {
    const lane = free.pop() ?? (await new Promise<Lane>((resolve) => waiting.push(resolve)));
    try {
      return await work(lane);
    } finally {
      const next = waiting.shift();
      if (next) next(lane);
      else free.push(lane);
    }
  };
}
