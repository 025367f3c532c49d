import { z } from 'zod';
import { identifier } from '../agents.js';
import { messageBatch } from '../communication.js';
import { byId, nextCursor, operators, pageQuery, readers, response, type Endpoint } from '../endpoint.js';
import {
  deadLetterReason,
  deadLetterState,
  deadLetterView,
  derivedId,
  messageResults,
  messageTrace,
  newMessages,
  receiptView,
} from '../messages.js';

/** A thousand messages of several KiB; larger ones are sent fewer at a time. */
export const messagesLimitBytes = 8 * 1024 * 1024;

const deadLetter = deadLetterView.meta({ id: 'DeadLetter' });

export const messageEndpoints = {
  sendMessages: {
    method: 'post',
    path: '/v1/messages',
    summary:
      'Send messages. An accepted message is durable and in the inboxes of its recipients; each has its own result',
    tag: 'messages',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    body: newMessages,
    bodyLimitBytes: messagesLimitBytes,
    responses: {
      202: response('One result for each message, in the order given', messageResults.meta({ id: 'MessageResults' })),
    },
    errors: ['mailbox_full'],
  },
  getMessage: {
    method: 'get',
    path: '/v1/messages/{id}',
    summary: 'Get the trace of a message, hop by hop',
    tag: 'messages',
    roles: [...readers, 'agent'],
    params: byId,
    responses: {
      200: response('The message and its hops', z.object({ message: messageTrace.meta({ id: 'MessageWay' }) })),
    },
    errors: ['not_found'],
  },
  getReceipt: {
    method: 'get',
    path: '/v1/receipts/{id}',
    summary: 'Get the receipt of a message: how many recipients received it, acknowledged it, or never will',
    tag: 'messages',
    roles: [...readers, 'agent'],
    params: byId,
    responses: {
      200: response(
        'The receipt of the message with this id',
        z.object({ receipt: receiptView.meta({ id: 'Receipt' }) }),
      ),
    },
    errors: ['not_found'],
  },
  storeBatch: {
    method: 'post',
    path: '/v1/message-batches',
    summary: 'Store messages for a COMMUNICATION request that names them by batchId; kept for a day',
    tag: 'messages',
    roles: [...operators, 'agent'],
    capability: 'communication_management',
    body: messageBatch,
    bodyLimitBytes: messagesLimitBytes,
    responses: { 201: response('The batch was stored', z.object({ batchId: z.string() })) },
    errors: [],
  },
  listDeadLetters: {
    method: 'get',
    path: '/v1/dead-letters',
    summary: 'List dead letters with their reasons, newest first',
    tag: 'dead letters',
    roles: readers,
    query: z.strictObject({
      ...pageQuery,
      state: deadLetterState.optional(),
      reason: deadLetterReason.optional(),
      recipient: identifier.optional(),
      clusterId: derivedId.optional(),
    }),
    responses: {
      200: response('A page of dead letters', z.object({ deadLetters: z.array(deadLetter), nextCursor })),
    },
    errors: [],
  },
  replayDeadLetter: {
    method: 'post',
    path: '/v1/dead-letters/{id}/replay',
    summary: 'Deliver a dead letter again, with a full number of attempts',
    tag: 'dead letters',
    roles: operators,
    capability: 'communication_management',
    params: byId,
    responses: {
      200: response('Replayed, and the number of recipients', z.object({ deadLetter, matched: z.int() })),
    },
    errors: ['not_found', 'state_conflict'],
  },
  discardDeadLetter: {
    method: 'post',
    path: '/v1/dead-letters/{id}/discard',
    summary: 'Discard a dead letter; it stays listed until its retention ends',
    tag: 'dead letters',
    roles: operators,
    capability: 'communication_management',
    params: byId,
    responses: { 200: response('Discarded', z.object({ deadLetter })) },
    errors: ['not_found', 'state_conflict'],
  },
} as const satisfies Record<string, Endpoint>;
