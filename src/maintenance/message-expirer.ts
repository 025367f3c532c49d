import { deadLetterExpired, deleteDrainedTopics, deleteLapsedSubscriptions } from '../stores/communication/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inChunks } from './in-chunks.js';

const chunk = 5_000;

/** Dead-letters deliveries past their time to live, and deletes subscriptions past their grace and drained topics. */
export async function expireMessagesAndSubscriptions({
  communication,
  settings,
}: Pick<MaintenanceDeps, 'communication' | 'settings'>): Promise<void> {
  await inChunks(chunk, (limit) => deadLetterExpired(communication, limit));
  await deleteLapsedSubscriptions(communication, settings().subscriptionGraceSeconds);
  await deleteDrainedTopics(communication);
}
