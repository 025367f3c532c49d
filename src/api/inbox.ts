import { invitationAnswer } from '../contracts/agents.js';
import { ManagerError } from '../contracts/errors.js';
import { ackMany, inboxQuery, type DeliveryView } from '../contracts/inbox.js';
import { answerInvitation, findAgent, noteHandOver } from '../stores/clusters/index.js';
import { ack, receive } from '../stores/communication/index.js';
import { notThere } from './agents.js';
import { authenticate } from './authentication.js';
import type { Api, ApiDeps } from './deps.js';
import { json, jsonRequest, operationRoute } from './operation-route.js';
import * as shapes from './shapes.js';

const leaseSeconds = 30;

const inbox = operationRoute({
  operationId: 'readInbox',
  method: 'get',
  path: '/v1/agents/{id}/inbox',
  summary: `Receive mail, each delivery leased for ${leaseSeconds} s; waits for the first one up to waitSeconds`,
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
  request: { params: shapes.byId, body: jsonRequest(shapes.ackOne) },
  responses: { 200: json(shapes.ackedAnswer, 'Acked, now or before') },
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

export function inboxRoutes(api: Api, deps: ApiDeps): void {
  api.openapi(inbox, async (c) => {
    const { id } = c.req.valid('param');
    const { max, waitSeconds } = c.req.valid('query');
    if (c.var.principal.agentId === null && !(await findAgent(deps.clusters, id))) throw notThere(id);
    const { signal } = c.req.raw;
    const endsAtMs = performance.now() + waitSeconds * 1000;
    let deliveries = await receive(deps.communication, id, { max, leaseSeconds });
    while (deliveries.length === 0) {
      const hasMail = await deps.mail.wait(id, endsAtMs - performance.now(), signal);
      if (!hasMail) break;
      // The token may have been revoked while its bearer waited.
      await authenticate(c);
      deliveries = await receive(deps.communication, id, { max, leaseSeconds });
    }
    noteReached(deps, id, deliveries);
    return c.json({ deliveries }, 200);
  });

  api.openapi(ackAll, async (c) => {
    const { acks } = c.req.valid('json');
    const acked = await ack(deps.communication, recipientOf(c.var.principal), acks);
    const results = acks.map(({ id }) =>
      acked.has(id) ? { id, acked: true } : { id, acked: false, error: { code: 'stale_lease' } },
    );
    return c.json({ results }, 200);
  });

  api.openapi(ackOne, async (c) => {
    const { id } = c.req.valid('param');
    const { leaseToken } = c.req.valid('json');
    const acked = await ack(deps.communication, recipientOf(c.var.principal), [{ id, leaseToken }]);
    if (acked.has(id)) return c.json({ id, acked: true as const }, 200);
    throw new ManagerError(
      'stale_lease',
      `Delivery "${id}" is not leased to you under this token any more; it is handed over again, ack it then`,
    );
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

function recipientOf({ agentId }: { readonly agentId: string | null }): string {
  if (agentId !== null) return agentId;
  throw new ManagerError('forbidden', "Only the recipient acknowledges a delivery; use the agent's own token");
}

/** The mail is on its way: the note behind `reachability` must not keep it, nor lose it by failing. */
function noteReached(deps: ApiDeps, agentId: string, deliveries: readonly DeliveryView[]): void {
  if (deliveries.length === 0) return;
  noteHandOver(deps.clusters, [agentId]).catch((err: unknown) =>
    deps.logger.warn({ err, agentId }, 'hand-over could not be noted'),
  );
}
