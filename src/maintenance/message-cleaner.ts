import { findTopics, pruneChunk, pruneRetained, retainingTopics } from '../stores/communication/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inChunks } from './in-chunks.js';

const chunk = 5_000;

/** Deletes messages, dead letters and retained messages of topics that are past their retention. */
export async function pruneMessages({
  communication,
  settings,
}: Pick<MaintenanceDeps, 'communication' | 'settings'>): Promise<void> {
  const { retentionSeconds, deadLetterRetentionSeconds } = settings();
  const keep = { retentionSeconds, deadLetterRetentionSeconds };
  await inChunks(chunk, (limit) => pruneChunk(communication, { ...keep, limit }));
  for (const topic of await findTopics(communication, await retainingTopics(communication))) {
    await pruneRetained(communication, topic);
  }
}
