import { listAgentStatuses } from '../stores/clusters/index.js';
import {
  deadLetterExpired,
  pruneChunk,
  deleteDrainedTopics,
  deleteLapsedSubscriptions,
  findTopics,
  openInboxesOf,
  retainingTopics,
  setAgentStatus,
  pruneRetained,
} from '../stores/communication/index.js';
import type { ApiDeps } from '../http/deps.js';
import { retireInbox } from '../messaging/retire-inbox.js';

const page = 5_000;
const chunk = 5_000;
/** Chunks of one run: a backlog is worked off over several runs, so that none takes the database for itself. */
const chunksAtMost = 20;

const pagesAtOnce = 2;

/**
 * Tells the communication database how agents stand: whose subscriptions rest, who is chosen last. Any number of servers
 * may do it at once; only what differs is written. A run looks at 10,000 agents and the next one goes on from there.
 */
export function agentStatusSync(deps: Pick<ApiDeps, 'clusters' | 'communication' | 'messaging'>): () => Promise<void> {
  let after = '';
  return async () => {
    for (let pages = 0; pages < pagesAtOnce; pages += 1) {
      after = await followPage(deps, after);
      if (after === '') return;
    }
  };
}

/** @returns the last id of the page, or an empty one after the last page. */
async function followPage(
  deps: Pick<ApiDeps, 'clusters' | 'communication' | 'messaging'>,
  after: string,
): Promise<string> {
  const standings = await listAgentStatuses(deps.clusters, after, page);
  const here = standings.filter(({ standing }) => standing !== 'left');
  if (here.length > 0) {
    await setAgentStatus(
      deps.communication,
      here.map(({ id }) => id),
      here.map(({ standing }) => standing),
    );
  }
  const left = standings.filter(({ standing }) => standing === 'left').map(({ id }) => id);
  // A server that ended between the two databases left such an inbox open.
  if (left.length > 0) for (const id of await openInboxesOf(deps.communication, left)) await retireInbox(deps, id);
  return standings.length < page ? '' : (standings.at(-1)?.id ?? '');
}

/** Ends what is over: mail past its time to live, subscriptions past their grace, topics that have drained. */
export async function expireMessagesAndSubscriptions({
  communication,
  config,
}: Pick<ApiDeps, 'communication' | 'config'>): Promise<void> {
  for (let chunks = 0; chunks < chunksAtMost; chunks += 1) {
    if ((await deadLetterExpired(communication, chunk)) < chunk) break;
  }
  await deleteLapsedSubscriptions(communication, config().communication.subscriptionGraceSeconds);
  await deleteDrainedTopics(communication);
}

/** Deletes what is past its retention. */
export async function pruneMessages({
  communication,
  config,
}: Pick<ApiDeps, 'communication' | 'config'>): Promise<void> {
  const { retentionSeconds, deadLetterRetentionSeconds } = config().communication;
  for (let chunks = 0; chunks < chunksAtMost; chunks += 1) {
    const rules = { retentionSeconds, deadLetterRetentionSeconds, limit: chunk };
    if ((await pruneChunk(communication, rules)) < chunk) break;
  }
  for (const topic of await findTopics(communication, await retainingTopics(communication))) {
    await pruneRetained(communication, topic);
  }
}
