import { ManagerError } from '../../contracts/errors.js';
import { createTopic, deleteTopic, subscribe, topicView, topicViews } from '../../messaging/change-topics.js';
import { findAgent } from '../../stores/clusters/index.js';
import { listTopics, subscriptionsOf, unsubscribe } from '../../stores/communication/index.js';
import { pageByText } from '../cursor.js';
import type { MessageDeps } from '../deps.js';
import { Reply, type Handlers } from '../handlers.js';
import { senderOf } from '../sender.js';
import { agentNotFound } from '../visibility.js';

export const topicHandlers = (deps: MessageDeps) =>
  ({
    listTopics: async ({ query }) => {
      const { rows, nextCursor } = await pageByText(query, 'name', (page) => listTopics(deps.communication, page));
      return { topics: await topicViews(deps.communication, rows), nextCursor };
    },

    createTopic: async ({ body: { publish = null, subscribe: subscribers = null, ...spec }, principal }) => {
      const topic = { ...spec, publish, subscribe: subscribers };
      const outcome = await createTopic(deps, topic, senderOf(principal).source);
      return new Reply(outcome === 'created' ? 201 : 200, { topic: await topicView(deps.communication, spec.name) });
    },

    getTopic: async ({ params: { name } }) => ({ topic: await topicView(deps.communication, name) }),

    deleteTopic: async ({ params: { name }, query: { mode }, principal }) => ({
      name,
      ...(await deleteTopic(deps, name, { mode, by: principal.agentId })),
    }),

    listSubscriptions: async ({ params: { id }, principal }) => {
      if (principal.agentId === null && !(await findAgent(deps.clusters, id))) throw agentNotFound(id);
      return { subscriptions: await subscriptionsOf(deps.communication, id) };
    },

    subscribe: ({ params: { id }, body }) => subscribe(deps, id, body),

    unsubscribe: async ({ params: { id, subscriptionId } }) => {
      if (!(await unsubscribe(deps.communication, id, { id: subscriptionId }))) {
        throw new ManagerError('not_found', `Agent "${id}" has no subscription "${subscriptionId}"`);
      }
      return { id: subscriptionId, ended: true };
    },
  }) satisfies Partial<Handlers>;
