const maxChunksPerRun = 20;

/**
 * Calls `change`, which changes at most `limit` rows, until it finds fewer. A run is limited to 20 chunks, so that a
 * backlog is worked off over several runs and does not keep the database busy.
 */
export async function inChunks(limit: number, change: (limit: number) => Promise<number>): Promise<void> {
  for (let chunks = 0; chunks < maxChunksPerRun; chunks += 1) if ((await change(limit)) < limit) return;
}
