import { ManagerError } from '../contracts/errors.js';
import { isoDates } from '../contracts/view.js';
import type { SubscriptionView, TopicView } from '../contracts/topics.js';
import { isTopicAllowed } from '../domain/communication/topic-access.js';
import { matchesTopic } from '../domain/communication/topic-patterns.js';
import {
  clustersOfAgents,
  createTopic as insertTopic,
  deleteTopic as removeTopic,
  deliverRetained,
  drainTopic,
  findTopics,
  openDeliveries,
  retainingTopics,
  subscribe as insertSubscription,
  subscriptionsTo,
  topicFigures,
  type CommunicationDb,
  type TopicRow,
  type TopicSpec,
} from '../stores/communication/index.js';
import type { MessagingDeps } from './deps.js';

/**
 * Creates a topic; the same topic again changes nothing.
 * @throws ManagerError `state_conflict` when a topic of that name has other settings.
 */
export async function createTopic(
  { communication }: MessagingDeps,
  spec: TopicSpec,
  owner: string,
): Promise<'created' | 'unchanged'> {
  const outcome = await insertTopic(communication, spec, owner);
  if (outcome !== 'other') return outcome;
  throw new ManagerError(
    'state_conflict',
    `The topic "${spec.name}" exists with other settings, or is being deleted; delete it first or use another name`,
  );
}

/**
 * Deletes a topic: `drain` waits for its open deliveries, `force` dead-letters them.
 * @param by the agent that deletes it, who must be its owner; null for an operator.
 * @throws ManagerError `not_found`, `forbidden`.
 */
export async function deleteTopic(
  { communication }: MessagingDeps,
  name: string,
  { mode, by }: { readonly mode: 'drain' | 'force'; readonly by: string | null },
): Promise<{ readonly state: 'draining' | 'deleted'; readonly deadLettered: number }> {
  const [topic] = await findTopics(communication, [name]);
  if (!topic) throw noTopic(name);
  if (by !== null && topic.owner !== by) {
    throw new ManagerError(
      'forbidden',
      `The topic "${name}" belongs to "${topic.owner}"; only its owner or an operator may delete it`,
    );
  }
  if (mode === 'drain') {
    await drainTopic(communication, name);
    if ((await openDeliveries(communication, { topic: name })) > 0) return { state: 'draining', deadLettered: 0 };
  }
  return { state: 'deleted', deadLettered: (await removeTopic(communication, name)) ?? 0 };
}

/**
 * Subscribes an agent to the topics that a pattern matches, now and later, and delivers their retained messages to it.
 * The same subscription again changes nothing.
 * @throws ManagerError `not_found` when the agent has no inbox; `forbidden` when the topic does not list the agent;
 * `state_conflict` when the topic has the maximum of subscribers.
 */
export async function subscribe(
  deps: MessagingDeps,
  agentId: string,
  wanted: { readonly pattern: string; readonly queueGroup?: string | undefined; readonly retained: boolean },
): Promise<{ readonly subscription: SubscriptionView; readonly retained: number }> {
  const { communication: db } = deps;
  const queueGroup = wanted.queueGroup ?? null;
  const matched = await topicsMatchedBy(db, wanted.pattern, agentId);
  const [name] = hasWildcard(wanted.pattern) ? [] : matched;
  const subscription = await insertSubscription(db, agentId, {
    pattern: wanted.pattern,
    queueGroup,
    ...(name === undefined ? {} : { topic: name }),
  });
  if (subscription === 'full') {
    throw new ManagerError(
      'state_conflict',
      `The topic "${name}" already has the maximum of subscribers; unsubscribe another agent first`,
    );
  }
  if (!subscription) throw new ManagerError('not_found', `Agent "${agentId}" does not exist or has left`);
  const retained = wanted.retained && queueGroup === null ? await deliverRetained(db, agentId, matched) : 0;
  if (retained > 0) deps.notify([agentId]);
  return { subscription, retained };
}

/** A pattern without wildcards is refused when its topic does not list the agent; one with wildcards skips such topics. */
async function topicsMatchedBy(db: CommunicationDb, pattern: string, agentId: string): Promise<readonly string[]> {
  const clustersOf = await clustersOfAgents(db, [agentId]);
  if (hasWildcard(pattern)) {
    const retaining = await findTopics(
      db,
      (await retainingTopics(db)).filter((name) => matchesTopic(pattern, name)),
    );
    return retaining
      .filter(({ state, subscribe: list }) => state === 'open' && isTopicAllowed(list, agentId, clustersOf))
      .map(({ name }) => name);
  }
  const [topic] = await findTopics(db, [pattern]);
  // A draining topic takes no more subscribers; the next topic of its name will.
  if (topic?.state !== 'open') return [];
  if (!isTopicAllowed(topic.subscribe, agentId, clustersOf)) {
    throw new ManagerError('forbidden', `The topic "${pattern}" does not list "${agentId}" under subscribe`);
  }
  return [pattern];
}

const hasWildcard = (pattern: string): boolean => /[*>]/.test(pattern);

/** Topics with their subscribers and figures. */
export async function topicViews(db: CommunicationDb, rows: readonly TopicRow[]): Promise<TopicView[]> {
  const names = rows.map(({ name }) => name);
  const [subscriptions, figures] = await Promise.all([subscriptionsTo(db, names), topicFigures(db, names)]);
  return rows.map((row) => ({
    ...isoDates(row),
    subscribers: subscriptions
      .filter(({ topic }) => topic === row.name)
      .map(({ agentId, pattern, queueGroup, suspended }) => ({ agentId, pattern, queueGroup, suspended })),
    ...(figures.get(row.name) ?? { retained: 0, pending: 0 }),
  }));
}

export async function topicView(db: CommunicationDb, name: string): Promise<TopicView> {
  const [view] = await topicViews(db, await findTopics(db, [name]));
  if (!view) throw noTopic(name);
  return view;
}

const noTopic = (name: string): ManagerError => new ManagerError('not_found', `Topic "${name}" does not exist`);
