import { ManagerError } from '../../contracts/errors.js';
import { newSubscription, newTopic } from '../../contracts/topics.js';
import { createTopic, deleteTopic, subscribe, topicView, topicViews } from '../../messaging/change-topics.js';
import { findAgent } from '../../stores/clusters/index.js';
import { listTopics, subscriptionsOf, unsubscribe } from '../../stores/communication/index.js';
import { requireCapability } from '../../operations/require-capability.js';
import { agentNotFound } from './agents.js';
import { nextCursor, positionOf } from '../cursor.js';
import type { Api, MessageDeps } from '../deps.js';
import { senderOf } from './messages.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const list = operationRoute({
  operationId: 'listTopics',
  method: 'get',
  path: '/v1/topics',
  summary: 'List topics by name, with their subscribers',
  tags: ['topics'],
  request: { query: shapes.topicsQuery },
  responses: { 200: json(shapes.topicsPage, 'A page of topics') },
});

const create = operationRoute({
  operationId: 'createTopic',
  method: 'post',
  path: '/v1/topics',
  summary: 'Create a topic; the same again changes nothing',
  tags: ['topics'],
  request: { body: jsonRequest(newTopic) },
  responses: { 200: json(shapes.topicAnswer, 'It was there'), 201: json(shapes.topicAnswer, 'Created') },
});

const get = operationRoute({
  operationId: 'getTopic',
  method: 'get',
  path: '/v1/topics/{name}',
  summary: 'Show a topic',
  tags: ['topics'],
  request: { params: shapes.byTopic },
  responses: { 200: json(shapes.topicAnswer, 'The topic') },
});

const remove = operationRoute({
  operationId: 'deleteTopic',
  method: 'delete',
  path: '/v1/topics/{name}',
  summary: 'Delete a topic: drain lets what is on its way arrive first, force makes dead letters of it',
  tags: ['topics'],
  request: { params: shapes.byTopic, query: shapes.deleteTopicQuery },
  responses: { 200: json(shapes.topicDeleted, 'Deleted, or draining until its last delivery has ended') },
});

const subscriptions = operationRoute({
  operationId: 'listSubscriptions',
  method: 'get',
  path: '/v1/agents/{id}/subscriptions',
  summary: "List an agent's subscriptions",
  tags: ['topics'],
  request: { params: shapes.byAgent },
  responses: { 200: json(shapes.subscriptionsAnswer, 'All of them') },
});

const add = operationRoute({
  operationId: 'subscribe',
  method: 'post',
  path: '/v1/agents/{id}/subscriptions',
  summary: 'Subscribe an agent to all topics that a pattern takes, now and later; it lives as long as the lease',
  tags: ['topics'],
  request: { params: shapes.byAgent, body: jsonRequest(newSubscription) },
  responses: { 201: json(shapes.subscribedAnswer, 'Subscribed, now or before, and how much was retained for it') },
});

const end = operationRoute({
  operationId: 'unsubscribe',
  method: 'delete',
  path: '/v1/agents/{id}/subscriptions/{subscriptionId}',
  summary: 'End a subscription; what was delivered stays',
  tags: ['topics'],
  request: { params: shapes.byAgentAndSubscription },
  responses: { 200: json(shapes.subscriptionEnded, 'Ended') },
});

export function topicRoutes(api: Api, deps: MessageDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit } = c.req.valid('query');
    const after = positionOf(cursor, 1)?.[0];
    const rows = await listTopics(deps.communication, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ name }) => [name]);
    return c.json({ topics: await topicViews(deps.communication, page), nextCursor: next }, 200);
  });

  api.openapi(create, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    const { publish, subscribe: readers, ...spec } = c.req.valid('json');
    const topic = { ...spec, publish: publish ?? null, subscribe: readers ?? null };
    const outcome = await createTopic(deps, topic, senderOf(c.var.principal).source);
    return c.json({ topic: await topicView(deps.communication, spec.name) }, outcome === 'created' ? 201 : 200);
  });

  api.openapi(get, async (c) => c.json({ topic: await topicView(deps.communication, c.req.valid('param').name) }, 200));

  api.openapi(remove, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    const { name } = c.req.valid('param');
    const { mode } = c.req.valid('query');
    const outcome = await deleteTopic(deps, name, { mode, by: c.var.principal.agentId });
    return c.json({ name, ...outcome }, 200);
  });

  api.openapi(subscriptions, async (c) => {
    const { id } = c.req.valid('param');
    if (c.var.principal.agentId === null && !(await findAgent(deps.clusters, id))) throw agentNotFound(id);
    return c.json({ subscriptions: await subscriptionsOf(deps.communication, id) }, 200);
  });

  api.openapi(add, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    return c.json(await subscribe(deps, c.req.valid('param').id, c.req.valid('json')), 201);
  });

  api.openapi(end, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    const { id, subscriptionId } = c.req.valid('param');
    if (await unsubscribe(deps.communication, id, { id: subscriptionId })) {
      return c.json({ id: subscriptionId, ended: true as const }, 200);
    }
    throw new ManagerError('not_found', `Agent "${id}" has no subscription "${subscriptionId}"`);
  });
}
