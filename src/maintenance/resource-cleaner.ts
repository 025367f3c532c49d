import {
  pruneAllocations,
  pruneCapacityRequests,
  pruneDecisions,
  pruneHolds,
  pruneLedger,
  pruneQuotas,
  pruneScalingMemory,
  pruneScores,
  pruneUsage,
} from '../stores/resources/index.js';
import type { MaintenanceDeps } from './deps.js';
import { inChunks } from './in-chunks.js';

const chunk = 1_000;

const day = 86_400;
/** How long decisions can be explained and the ledger audited. */
const historySeconds = 30 * day;
/** Longer than any decision looks back: the window, the flap budget's hour and a reversal. */
const lookBackSeconds = 2 * day;

const retentions = [
  { keepSeconds: lookBackSeconds, prunes: [pruneUsage, pruneScores, pruneScalingMemory] },
  {
    keepSeconds: historySeconds,
    prunes: [pruneDecisions, pruneCapacityRequests, pruneHolds, pruneAllocations, pruneLedger],
  },
] as const;

/** Deletes rows of resources_db that are past their retention. */
export async function pruneResources({ resources }: Pick<MaintenanceDeps, 'resources'>): Promise<void> {
  for (const { keepSeconds, prunes } of retentions) {
    for (const prune of prunes) await inChunks(chunk, (limit) => prune(resources, { keepSeconds, limit }));
  }
  await inChunks(chunk, (limit) => pruneQuotas(resources, { limit }));
}
