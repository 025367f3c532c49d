import { batchesInUse } from '../stores/clusters/index.js';
import { findTopics, pruneChunk, pruneRetained, retainingTopics } from '../stores/communication/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inChunks } from './in-chunks.js';

const chunk = 5_000;

/** Deletes messages, dead letters and retained messages of topics that are past their retention. */
export async function pruneMessages({
  clusters,
  communication,
  settings,
}: Pick<MaintenanceDeps, 'clusters' | 'communication' | 'settings'>): Promise<void> {
  const { retentionSeconds, deadLetterRetentionSeconds } = settings();
  // Read first: an operation that is accepted later names a batch that was stored, or stored again, just now.
  const keptBatches = await batchesInUse(clusters);
  const keep = { retentionSeconds, deadLetterRetentionSeconds, keptBatches };
  await inChunks(chunk, (limit) => pruneChunk(communication, { ...keep, limit }));
  for (const topic of await findTopics(communication, await retainingTopics(communication))) {
    await pruneRetained(communication, topic);
  }
}
