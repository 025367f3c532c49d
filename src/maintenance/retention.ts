import {
  deadLetterExpired,
  deleteDrainedTopics,
  deleteLapsedSubscriptions,
  findTopics,
  pruneChunk,
  pruneRetained,
  retainingTopics,
} from '../stores/communication/index.js';
import {
  expireAllocations,
  expireCapacityRequests,
  expireHolds,
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

type MessageDeps = Pick<MaintenanceDeps, 'communication' | 'settings'>;
type ResourceDeps = Pick<MaintenanceDeps, 'resources'>;

const messageChunk = 5_000;
const resourceChunk = 1_000;
const maxChunksPerRun = 20;

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

/** Ends allocations and holds whose lease has expired, and capacity requests past their deadline. */
export async function expireLeases({ resources }: ResourceDeps): Promise<void> {
  for (const expire of [expireAllocations, expireHolds, expireCapacityRequests]) {
    await inChunks(resourceChunk, async (limit) => (await expire(resources, limit)).length);
  }
}

/** Deletes rows of resources_db that are past their retention. */
export async function pruneResources({ resources }: ResourceDeps): Promise<void> {
  for (const { keepSeconds, prunes } of retentions) {
    for (const prune of prunes) await inChunks(resourceChunk, (limit) => prune(resources, { keepSeconds, limit }));
  }
  await inChunks(resourceChunk, (limit) => pruneQuotas(resources, { limit }));
}

/** Dead-letters deliveries past their time to live, and deletes subscriptions past their grace and drained topics. */
export async function expireMessagesAndSubscriptions({ communication, settings }: MessageDeps): Promise<void> {
  await inChunks(messageChunk, (limit) => deadLetterExpired(communication, limit));
  await deleteLapsedSubscriptions(communication, settings().subscriptionGraceSeconds);
  await deleteDrainedTopics(communication);
}

/** Deletes messages, dead letters and retained messages of topics that are past their retention. */
export async function pruneMessages({ communication, settings }: MessageDeps): Promise<void> {
  const { retentionSeconds, deadLetterRetentionSeconds } = settings();
  const keep = { retentionSeconds, deadLetterRetentionSeconds };
  await inChunks(messageChunk, (limit) => pruneChunk(communication, { ...keep, limit }));
  for (const topic of await findTopics(communication, await retainingTopics(communication))) {
    await pruneRetained(communication, topic);
  }
}

/**
 * Calls `change`, which changes at most `limit` rows, until it finds fewer. A run is limited to 20 chunks, so that a
 * backlog is worked off over several runs and does not keep the database busy.
 */
async function inChunks(limit: number, change: (limit: number) => Promise<number>): Promise<void> {
  for (let chunks = 0; chunks < maxChunksPerRun; chunks += 1) if ((await change(limit)) < limit) return;
}
