import type { Context } from 'hono';
import { invitationAnswer } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import { ackMany, ackOne as ackOneBody, extend, inboxQuery, nack } from '../../contracts/inbox.js';
import { answerInvitation, findAgent } from '../../stores/clusters/index.js';
import { extendLease, nackDelivery, ownsDelivery } from '../../stores/communication/index.js';
import { agentNotFound } from './agents.js';
import { authenticate } from '../middleware/authentication.js';
import type { Api, MessageDeps, ApiEnv } from '../deps.js';
import { deliverNext, type SerializedDelivery } from '../../messaging/deliver-next.js';
import { inboxStreams } from './inbox-stream.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const inbox = operationRoute({
  operationId: 'readInbox',
  method: 'get',
  path: '/v1/agents/{id}/inbox',
  summary:
    'Receive mail, each delivery leased; waits for the first one up to waitSeconds. With Accept: text/event-stream ' +
    'an endless stream of "delivery" events, at most max of them unacked at a time',
  tags: ['inbox'],
  request: { params: shapes.byAgent, query: inboxQuery },
  responses: { 200: json(shapes.inboxAnswer, 'The oldest open deliveries; none when the wait is over') },
});

const ackAll = operationRoute({
  operationId: 'ackDeliveries',
  method: 'post',
  path: '/v1/deliveries/ack',
  summary: 'Acknowledge many deliveries; each has its own outcome',
  tags: ['inbox'],
  request: { body: jsonRequest(ackMany) },
  responses: { 200: json(shapes.acksAnswer, 'The outcome of each, in the order given') },
});

const ackOne = operationRoute({
  operationId: 'ackDelivery',
  method: 'post',
  path: '/v1/deliveries/{id}/ack',
  summary: 'Acknowledge one delivery; 409 stale_lease when its lease is no longer held',
  tags: ['inbox'],
  request: { params: shapes.byId, body: jsonRequest(ackOneBody) },
  responses: { 200: json(shapes.ackedAnswer, 'Acked, now or before') },
});

const nackOne = operationRoute({
  operationId: 'nackDelivery',
  method: 'post',
  path: '/v1/deliveries/{id}/nack',
  summary: 'Give a delivery back for another try, or, with final, to the dead letters',
  tags: ['inbox'],
  request: { params: shapes.byId, body: jsonRequest(nack) },
  responses: { 200: json(shapes.nackedAnswer, 'Waiting for its next try, or dead') },
});

const extendOne = operationRoute({
  operationId: 'extendDelivery',
  method: 'post',
  path: '/v1/deliveries/{id}/extend',
  summary: 'Prolong a lease that is still held, counted from now',
  tags: ['inbox'],
  request: { params: shapes.byId, body: jsonRequest(extend) },
  responses: { 200: json(shapes.extendedAnswer, 'The new end of the lease') },
});

const invitation = operationRoute({
  operationId: 'answerInvitation',
  method: 'post',
  path: '/v1/agents/{id}/invitations/{clusterId}',
  summary: 'Accept or decline the invitation to a cluster',
  tags: ['inbox'],
  request: { params: shapes.byAgentAndCluster, body: jsonRequest(invitationAnswer) },
  responses: { 200: json(shapes.invitationAnswered, 'The answer is noted') },
});

export function inboxRoutes(api: Api, deps: MessageDeps): void {
  const stream = inboxStreams(deps);
  api.openapi(inbox, async (c) => {
    const { id } = c.req.valid('param');
    const { max, waitSeconds } = c.req.valid('query');
    if (c.var.principal.agentId === null && !(await findAgent(deps.clusters, id))) throw agentNotFound(id);
    if (/\btext\/event-stream\b/.test(c.req.header('accept') ?? '')) return stream(c, id, max) as never;
    const { signal } = c.req.raw;
    const endsAtMs = performance.now() + waitSeconds * 1000;
    for (;;) {
      const since = deps.notifier.moment;
      const deliveries = await deliverNext(deps, id, max);
      if (deliveries.length > 0) return answerOf(c, deliveries);
      if (!(await deps.notifier.wait(id, since, endsAtMs - performance.now(), signal))) return answerOf(c, []);
      // The token may have been revoked while its bearer waited.
      await authenticate(c);
    }
  });

  api.openapi(ackAll, async (c) => {
    const agentId = recipientOf(c);
    const { acks } = c.req.valid('json');
    const acked = await deps.acknowledge(acks.map((claim) => ({ ...claim, agentId })));
    const results = await Promise.all(
      acks.map(async ({ id }, place) =>
        acked[place]
          ? { id, acked: true }
          : { id, acked: false, error: { code: (await lost(deps, agentId, id)).code } },
      ),
    );
    return c.json({ results }, 200);
  });

  api.openapi(ackOne, async (c) => {
    const agentId = recipientOf(c);
    const { id } = c.req.valid('param');
    const { leaseToken } = c.req.valid('json');
    const [acked] = await deps.acknowledge([{ id, leaseToken, agentId }]);
    if (acked) return c.json({ id, acked: true as const }, 200);
    throw await lost(deps, agentId, id);
  });

  api.openapi(nackOne, async (c) => {
    const agentId = recipientOf(c);
    const { id } = c.req.valid('param');
    const { leaseToken, delaySeconds, reason, final } = c.req.valid('json');
    const { communication } = deps.config();
    const how = { delaySeconds, reason, final };
    const outcome = await nackDelivery(deps.communication, { agentId, id, leaseToken }, how, communication);
    if (!outcome) throw await lost(deps, agentId, id);
    deps.notifier.notify([agentId]);
    return c.json({ id, outcome }, 200);
  });

  api.openapi(extendOne, async (c) => {
    const agentId = recipientOf(c);
    const { id } = c.req.valid('param');
    const { leaseToken, leaseSeconds } = c.req.valid('json');
    const seconds = leaseSeconds ?? deps.config().communication.leaseSeconds;
    const end = await extendLease(deps.communication, { agentId, id, leaseToken }, seconds);
    if (!end) throw await lost(deps, agentId, id);
    return c.json({ id, leaseExpiresAt: end.toISOString() }, 200);
  });

  api.openapi(invitation, async (c) => {
    const { id, clusterId } = c.req.valid('param');
    const answer = c.req.valid('json');
    const { workflowId } = await answerInvitation(deps.clusters, clusterId, id, answer);
    // The answer is saved; the signal only spares the formation the wait for its timer.
    deps.client.wake(workflowId).catch((err: unknown) => deps.logger.warn({ err, workflowId }, 'wake failed'));
    return c.json({ clusterId, answer: answer.answer }, 200);
  });
}

/** Its text is put together, not typed: it is checked against the answer's schema where it is tested. */
const answerOf = (c: Context<ApiEnv>, deliveries: readonly SerializedDelivery[]): never =>
  c.body(`{"deliveries":[${deliveries.map(({ text }) => text).join(',')}]}`, 200, {
    'content-type': 'application/json',
  }) as never;

function recipientOf(c: Context<ApiEnv>): string {
  const { agentId } = c.var.principal;
  if (agentId !== null) return agentId;
  throw new ManagerError('forbidden', "Only the recipient acknowledges a delivery; use the agent's own token");
}

/** Why a claim hit nothing. Another agent's delivery is not there for this one, so that ids cannot be probed. */
async function lost(deps: MessageDeps, agentId: string, id: string): Promise<ManagerError> {
  if (!(await ownsDelivery(deps.communication, agentId, id))) {
    return new ManagerError('not_found', `There is no delivery "${id}"`);
  }
  return new ManagerError(
    'stale_lease',
    `Delivery "${id}" is not leased to you under this token any more; if it is still open it is handed over again, ack it then`,
  );
}
