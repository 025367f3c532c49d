import {
  pruneDecisions,
  pruneAllocations,
  pruneQuotas,
  pruneLedger,
  pruneCapacityRequests,
  pruneHolds,
  pruneScalingMemory,
  pruneScores,
  pruneUsage,
} from '../stores/resources/index.js';
import type { ApiDeps } from '../http/deps.js';

const chunk = 1_000;
/** Chunks of one run: a backlog is worked off over several runs, so that none takes the database for itself. */
const chunksAtMost = 20;

const day = 86_400;
/** How long decisions can be explained, and books audited. */
const keptSeconds = 30 * day;
/** More than what any decision looks back on: the window, the flap budget's hour and a reversal. */
const rememberedSeconds = 2 * day;

type Resources = Pick<ApiDeps, 'resources'>;

/** Deletes what no decision and no auditor looks back on any more. */
export async function pruneResources({ resources }: Resources): Promise<void> {
  const old = { keepSeconds: keptSeconds, limit: chunk };
  const passing = { keepSeconds: rememberedSeconds, limit: chunk };
  await inChunks(() => pruneUsage(resources, passing));
  await inChunks(() => pruneScores(resources, passing));
  await inChunks(() => pruneScalingMemory(resources, passing));
  await inChunks(() => pruneDecisions(resources, old));
  await inChunks(() => pruneCapacityRequests(resources, old));
  await inChunks(() => pruneHolds(resources, old));
  await inChunks(() => pruneAllocations(resources, old));
  await inChunks(() => pruneLedger(resources, old));
  await inChunks(() => pruneQuotas(resources, { limit: chunk }));
}

async function inChunks(trim: () => Promise<number>): Promise<void> {
  for (let chunks = 0; chunks < chunksAtMost; chunks += 1) if ((await trim()) < chunk) return;
}
