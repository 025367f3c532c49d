import { expireAllocations, expireCapacityRequests, expireHolds } from '../stores/resources/index.js';
import type { ApiDeps } from '../http/deps.js';

const chunk = 1_000;
/** Chunks of one run: a backlog is worked off over several runs. */
const chunksAtMost = 20;

/**
 * Takes back what is held without a lease, and ends requests that nobody answered in time. Any number of servers may do
 * it at once.
 */
export async function expireLeases({ resources }: Pick<ApiDeps, 'resources'>): Promise<void> {
  for (const expire of [expireAllocations, expireHolds, expireCapacityRequests]) {
    for (let chunks = 0; chunks < chunksAtMost; chunks += 1) {
      if ((await expire(resources, chunk)).length < chunk) break;
    }
  }
}
