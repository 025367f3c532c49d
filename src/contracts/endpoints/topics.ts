import { z } from 'zod';
import { identifier } from '../agents.js';
import { byIdentifier, nextCursor, operators, pageOnly, readers, response, type Endpoint } from '../endpoint.js';
import { derivedId } from '../messages.js';
import { newSubscription, newTopic, subscriptionView, topicName, topicView } from '../topics.js';

const topic = topicView.meta({ id: 'Topic' });
const subscription = subscriptionView.meta({ id: 'Subscription' });
const byTopic = z.object({ name: topicName });

export const topicEndpoints = {
  listTopics: {
    method: 'get',
    path: '/v1/topics',
    summary: 'List topics with their subscribers, by name',
    tag: 'topics',
    roles: [...readers, 'agent'],
    query: pageOnly,
    responses: { 200: response('A page of topics', z.object({ topics: z.array(topic), nextCursor })) },
    errors: [],
  },
  createTopic: {
    method: 'post',
    path: '/v1/topics',
    summary: 'Create a topic; creating the same topic again changes nothing',
    tag: 'topics',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    body: newTopic,
    responses: {
      200: response('The topic existed already', z.object({ topic })),
      201: response('The topic was created', z.object({ topic })),
    },
    errors: ['state_conflict'],
  },
  getTopic: {
    method: 'get',
    path: '/v1/topics/{name}',
    summary: 'Get a topic',
    tag: 'topics',
    roles: [...readers, 'agent'],
    params: byTopic,
    responses: { 200: response('The topic', z.object({ topic })) },
    errors: ['not_found'],
  },
  deleteTopic: {
    method: 'delete',
    path: '/v1/topics/{name}',
    summary: 'Delete a topic: drain lets pending deliveries finish first, force dead-letters them',
    tag: 'topics',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    params: byTopic,
    query: z.strictObject({ mode: z.enum(['drain', 'force']).default('drain') }),
    responses: {
      200: response(
        'Deleted, or draining until its last delivery has ended',
        z.object({ name: z.string(), state: z.enum(['draining', 'deleted']), deadLettered: z.int() }),
      ),
    },
    errors: ['not_found'],
  },
  listSubscriptions: {
    method: 'get',
    path: '/v1/agents/{id}/subscriptions',
    summary: "List an agent's subscriptions",
    tag: 'topics',
    roles: [...readers, 'agent'],
    params: byIdentifier,
    responses: {
      200: response("All of the agent's subscriptions", z.object({ subscriptions: z.array(subscription) })),
    },
    errors: ['not_found'],
  },
  subscribe: {
    method: 'post',
    path: '/v1/agents/{id}/subscriptions',
    summary:
      "Subscribe an agent to all topics that match a pattern, now and later, for as long as the agent's lease lives",
    tag: 'topics',
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
    method: 'delete',
    path: '/v1/agents/{id}/subscriptions/{subscriptionId}',
    summary: 'End a subscription; messages that were already delivered stay in the inbox',
    tag: 'topics',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    params: z.object({ id: identifier, subscriptionId: derivedId }),
    responses: {
      200: response('The subscription has ended', z.object({ id: z.string(), ended: z.literal(true) })),
    },
    errors: ['not_found'],
  },
} as const satisfies Record<string, Endpoint>;
