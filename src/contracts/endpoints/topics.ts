import { z } from 'zod';
import { identifier } from '../agents.js';
import { byIdentifier, ok, operators, page, pageOnly, readers, response, tagged } from '../endpoint.js';
import { derivedId } from '../messages.js';
import { newSubscription, newTopic, subscriptionView, topicName, topicView } from '../topics.js';

const topic = topicView.meta({ id: 'Topic' });
const subscription = subscriptionView.meta({ id: 'Subscription' });
const byTopic = z.object({ name: topicName });

export const topicEndpoints = tagged('topics', {
  listTopics: {
    route: 'GET /v1/topics',
    summary: 'List topics with their subscribers, by name',
    roles: [...readers, 'agent'],
    query: pageOnly,
    responses: page('A page of topics', { topics: z.array(topic) }),
  },
  createTopic: {
    route: 'POST /v1/topics',
    summary: 'Create a topic; creating the same topic again changes nothing',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    body: newTopic,
    responses: {
      200: response('The topic existed already', { topic }),
      201: response('The topic was created', { topic }),
    },
    errors: ['state_conflict'],
  },
  getTopic: {
    route: 'GET /v1/topics/{name}',
    summary: 'Get a topic',
    roles: [...readers, 'agent'],
    params: byTopic,
    responses: ok('The topic', { topic }),
  },
  deleteTopic: {
    route: 'DELETE /v1/topics/{name}',
    summary: 'Delete a topic: drain lets pending deliveries finish first, force dead-letters them',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    params: byTopic,
    query: z.strictObject({ mode: z.enum(['drain', 'force']).default('drain') }),
    responses: ok('Deleted, or draining until its last delivery has ended', {
      name: z.string(),
      state: z.enum(['draining', 'deleted']),
      deadLettered: z.int(),
    }),
  },
  listSubscriptions: {
    route: 'GET /v1/agents/{id}/subscriptions',
    summary: "List an agent's subscriptions",
    roles: [...readers, 'agent'],
    params: byIdentifier,
    responses: ok("All of the agent's subscriptions", { subscriptions: z.array(subscription) }),
  },
  subscribe: {
    route: 'POST /v1/agents/{id}/subscriptions',
    summary:
      "Subscribe an agent to all topics that match a pattern, now and later, for as long as the agent's lease lives",
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    params: byIdentifier,
    body: newSubscription,
    responses: {
      201: response(
        'Subscribed, now or earlier, and the number of retained messages that were delivered',
        z.object({ subscription, retained: z.int() }),
      ),
    },
    errors: ['not_found', 'forbidden', 'state_conflict'],
  },
  unsubscribe: {
    route: 'DELETE /v1/agents/{id}/subscriptions/{subscriptionId}',
    summary: 'End a subscription; messages that were already delivered stay in the inbox',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    params: z.object({ id: identifier, subscriptionId: derivedId }),
    responses: ok('The subscription has ended', { id: z.string(), ended: z.literal(true) }),
  },
});
