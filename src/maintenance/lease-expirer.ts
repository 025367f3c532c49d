import { expireAllocations, expireCapacityRequests, expireHolds } from '../stores/resources/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inChunks } from './in-chunks.js';

const chunk = 1_000;

/** Ends allocations and holds whose lease has expired, and capacity requests past their deadline. */
export async function expireLeases({ resources }: Pick<MaintenanceDeps, 'resources'>): Promise<void> {
  for (const expire of [expireAllocations, expireHolds, expireCapacityRequests]) {
    await inChunks(chunk, async (limit) => (await expire(resources, limit)).length);
  }
}
