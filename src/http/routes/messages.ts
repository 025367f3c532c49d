import { messageBatch } from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import { newMessages } from '../../contracts/messages.js';
import type { MessageResult } from '../../contracts/messages.js';
import type { MessageSender } from '../../messaging/deps.js';
import { traceMessage } from '../../messaging/message-trace.js';
import { receiptsOf } from '../../messaging/receipts.js';
import type { Principal } from '../../stores/clusters/index.js';
import { deliveriesOf, findMessages, type StoredMessage } from '../../stores/communication/index.js';
import { requesterOf } from '../../operations/requester.js';
import { requireCapability } from '../../operations/require-capability.js';
import { partyOf } from '../../operations/requester.js';
import type { Api, MessageDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import { storeMessageBatch } from '../../operations/message-batch.js';
import { temporalUrl } from '../../operations/view.js';
import { RetryLater } from '../middleware/problem-details.js';
import * as shapes from '../shapes.js';

/** A thousand messages of several KiB; larger bodies go in smaller numbers. */
export const messagesLimitBytes = 8 * 1024 * 1024;

const send = operationRoute({
  operationId: 'sendMessages',
  method: 'post',
  path: '/v1/messages',
  summary: "Send messages: what is accepted is durable and in its recipients' inboxes. Each has its own outcome",
  tags: ['messages'],
  bodyLimitBytes: messagesLimitBytes,
  request: { body: jsonRequest(newMessages) },
  responses: { 202: json(shapes.messageResultsAnswer, 'The outcome of each, in the order given') },
});

const way = operationRoute({
  operationId: 'getMessage',
  method: 'get',
  path: '/v1/messages/{id}',
  summary: 'The way of a message, hop by hop',
  tags: ['messages'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.messageAnswer, 'The message and what happened to it') },
});

const receipt = operationRoute({
  operationId: 'getReceipt',
  method: 'get',
  path: '/v1/receipts/{id}',
  summary: 'Who of those a message was for has got it, acked it, or never will',
  tags: ['messages'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.receiptAnswer, 'The receipt of the message of this id') },
});

const batch = operationRoute({
  operationId: 'storeBatch',
  method: 'post',
  path: '/v1/message-batches',
  summary: 'Store messages for a COMMUNICATION request that names them by batchId; kept for a day',
  tags: ['messages'],
  bodyLimitBytes: messagesLimitBytes,
  request: { body: jsonRequest(messageBatch) },
  responses: { 201: json(shapes.batchAnswer, 'Stored') },
});

/** What recipients see as the source: an agent by its id, others by a path that no agent's id can be. */
export const senderOf = (principal: Principal): MessageSender =>
  principal.agentId === null
    ? { source: `/${partyOf(principal)}/${principal.tokenId}`, agentId: null }
    : { source: principal.agentId, agentId: principal.agentId };

export function messageRoutes(api: Api, deps: MessageDeps): void {
  api.openapi(send, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    const sender = senderOf(c.var.principal);
    const results = await deps.accept(c.req.valid('json').messages.map((message) => ({ sender, message })));
    for (const result of results) deps.metrics.messages.inc({ outcome: outcomeOf(result) });
    refuseWhenAllAreFull(results);
    return c.json({ results }, 202);
  });

  api.openapi(way, async (c) => {
    const message = await visible(deps, c.var.principal, c.req.valid('param').id);
    const found = await traceMessage(deps.communication, message);
    const url = found.operationId ? temporalUrl(deps.config(), `communication/${found.operationId}`) : null;
    return c.json({ message: { ...found, temporalUrl: url } }, 200);
  });

  api.openapi(receipt, async (c) => {
    const { id } = c.req.valid('param');
    const { agentId } = c.var.principal;
    const [found] = await receiptsOf(deps.communication, [agentId === null ? { id } : { id, source: agentId }]);
    if (!found) throw noMessage(id);
    return c.json({ receipt: found.receipt }, 200);
  });

  api.openapi(batch, async (c) => {
    requireCapability(deps, c.var.principal, 'communication_management');
    return c.json({ batchId: await storeMessageBatch(deps, requesterOf(c.var.principal), c.req.valid('json')) }, 201);
  });
}

const outcomeOf = (result: MessageResult): string =>
  !result.accepted
    ? result.error.code
    : result.duplicate
      ? 'duplicate'
      : result.deadLetter
        ? 'dead_letter'
        : 'accepted';

/** Back-pressure that a sender cannot overlook; where some were accepted, each result tells for itself. */
function refuseWhenAllAreFull(results: readonly MessageResult[]): void {
  const full = results.flatMap((result) => (!result.accepted && result.error.code === 'mailbox_full' ? [result] : []));
  const [first] = full;
  if (!first || full.length < results.length) return;
  throw new RetryLater('mailbox_full', first.error.detail, first.error.retryAfterSeconds ?? 1);
}

/** An agent sees what it sent or was given; what is others' is not there for it. */
async function visible({ communication }: MessageDeps, { agentId }: Principal, id: string): Promise<StoredMessage> {
  const found = await findMessages(communication, id);
  for (const message of found) {
    if (agentId === null || message.source === agentId) return message;
    const deliveries = await deliveriesOf(communication, message.no, 10_000);
    if (deliveries.some(({ recipient }) => recipient === agentId)) return message;
  }
  throw noMessage(id);
}

const noMessage = (id: string): ManagerError =>
  new ManagerError('not_found', `There is no message "${id}"; what has ended is kept for a while only`);
