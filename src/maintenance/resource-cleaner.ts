import {
  trimDecisions,
  trimGrants,
  trimHoldings,
  trimLedger,
  trimRequests,
  trimReservations,
  trimScalingMemory,
  trimScores,
  trimUsage,
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
export async function deleteOldBooks({ resources }: Resources): Promise<void> {
  const old = { keepSeconds: keptSeconds, limit: chunk };
  const passing = { keepSeconds: rememberedSeconds, limit: chunk };
  await inChunks(() => trimUsage(resources, passing));
  await inChunks(() => trimScores(resources, passing));
  await inChunks(() => trimScalingMemory(resources, passing));
  await inChunks(() => trimDecisions(resources, old));
  await inChunks(() => trimRequests(resources, old));
  await inChunks(() => trimReservations(resources, old));
  await inChunks(() => trimGrants(resources, old));
  await inChunks(() => trimLedger(resources, old));
  await inChunks(() => trimHoldings(resources, { limit: chunk }));
}

async function inChunks(trim: () => Promise<number>): Promise<void> {
  for (let chunks = 0; chunks < chunksAtMost; chunks += 1) if ((await trim()) < chunk) return;
}
