import { messageLimitBytes, type MessageResult } from '../contracts/messages.js';
import { routeMessages } from '../domain/communication/route-messages.js';
import type { Route } from '../domain/communication/routing.js';
import {
  acceptRoutedMessages,
  findTopics,
  pruneRetained,
  type AcceptOutcome,
  type RoutedMessage,
} from '../stores/communication/index.js';
import { failpoint } from '../stores/failpoint.js';
import type { MessagingDeps } from './deps.js';
import { draftOf, routedMessage, type Draft, type Envelope } from './message-draft.js';
import { rejection, repeatedResult, resultOf, tooLarge } from './message-result.js';
import { readDirectory } from './read-directory.js';

/** Routing tables change only with a membership, so that a second attempt nearly always succeeds. */
const maxAttempts = 5;

/**
 * Accepts messages and routes them in one transaction: an accepted message is durable and in its recipients' inboxes.
 * The fast path and COMMUNICATION requests both end here. The same (source, id) again is the same message.
 * @returns a result for each message, in the order given.
 */
export async function acceptMessages(deps: MessagingDeps, envelopes: readonly Envelope[]): Promise<MessageResult[]> {
  const drafts = envelopes.map(draftOf);
  const firstOfKey = new Map<string, Draft>();
  for (const draft of drafts) if (!firstOfKey.has(draft.key)) firstOfKey.set(draft.key, draft);
  const accepted = [...firstOfKey.values()].filter((draft) => !isTooLarge(draft));
  const results = await acceptDrafts(deps, accepted);
  const resultOfKey = new Map(accepted.map(({ key }, index) => [key, results[index] as MessageResult]));
  return drafts.map((draft) => {
    if (isTooLarge(draft)) return tooLarge(draft);
    const first = firstOfKey.get(draft.key) as Draft;
    const result = resultOfKey.get(draft.key);
    return first === draft && result ? result : repeatedResult(draft, first, result);
  });
}

const isTooLarge = ({ data }: Draft): boolean => Buffer.byteLength(data) > messageLimitBytes;

/** Routes and stores messages, again when a routing table changed in between. */
async function acceptDrafts(deps: MessagingDeps, drafts: readonly Draft[]): Promise<MessageResult[]> {
  if (drafts.length === 0) return [];
  const { ttlSeconds, mailbox } = deps.settings();
  for (let attempt = 1; attempt <= maxAttempts; attempt += 1) {
    const routes = await routesOf(deps, drafts);
    const routed = routes.flatMap((route, index) =>
      route.state === 'routed' ? [routedMessage(drafts[index] as Draft, route, ttlSeconds)] : [],
    );
    const epochs = new Map(routes.flatMap((route) => (route.state === 'routed' ? Object.entries(route.epochs) : [])));
    const outcomes =
      routed.length > 0 ? await acceptRoutedMessages(deps.communication, routed, { epochs, inboxLimit: mailbox }) : [];
    failpoint('acceptMail:committed');
    if (outcomes === 'stale') continue;
    deps.notify([...new Set(routed.flatMap(({ recipients }) => recipients.map(({ agentId }) => agentId)))]);
    // The messages are stored: a failure here must not be answered as theirs. The message cleaner prunes the topic later.
    await pruneRetainedOf(deps, routed).catch((error: unknown) => deps.warn('a topic was not pruned', error));
    let next = 0;
    return routes.map((route, index) =>
      route.state === 'refused'
        ? rejection((drafts[index] as Draft).id, route.code, route.detail)
        : resultOf(drafts[index] as Draft, route, outcomes[next++] as AcceptOutcome),
    );
  }
  throw new Error(`Routing tables changed during each of ${maxAttempts} attempts to accept messages; send them again`);
}

async function routesOf({ communication, settings }: MessagingDeps, drafts: readonly Draft[]): Promise<Route[]> {
  const { reach } = settings();
  const directory = await readDirectory(
    communication,
    drafts.map(({ message }) => message.to),
    [...new Set(drafts.flatMap(({ sender }) => sender.agentId ?? []))],
    // A retry may sample other agents: a message that was stored keeps the recipients it was stored with.
    parseInt((drafts[0] as Draft).hash.slice(0, 8), 16) / 0x1_0000_0000,
  );
  return routeMessages(
    drafts.map(({ id, sender: { agentId }, message: { to } }) => ({ id, sender: { agentId, reach }, to })),
    directory,
  );
}

/** Applies the retention of topics at once, so that a burst cannot flood the inbox of a later subscriber. */
async function pruneRetainedOf({ communication }: MessagingDeps, routed: readonly RoutedMessage[]): Promise<void> {
  const names = new Set(routed.flatMap(({ retain, topic }) => (retain && topic !== undefined ? [topic] : [])));
  if (names.size === 0) return;
  for (const topic of await findTopics(communication, [...names])) await pruneRetained(communication, topic);
}
