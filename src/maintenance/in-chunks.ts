const maxChunksPerRun = 20;

/**
 * Calls `change` until it finds less than a whole chunk. A run is limited to 20 chunks, so that a backlog is worked off
 * over several runs and does not keep the database busy.
 * @param change changes at most `limit` rows. @returns how many it changed.
 */
export async function inChunks(limit: number, change: (limit: number) => Promise<number>): Promise<void> {
  for (let chunks = 0; chunks < maxChunksPerRun; chunks += 1) if ((await change(limit)) < limit) return;
}
