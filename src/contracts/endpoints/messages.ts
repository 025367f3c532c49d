import { z } from 'zod';
import { identifier } from '../agents.js';
import { messageBatch } from '../communication.js';
import { byId, ok, operators, page, pageQuery, readers, response, tagged } from '../endpoint.js';
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
  ...tagged('messages', {
    sendMessages: {
      route: 'POST /v1/messages',
      summary:
        'Send messages. An accepted message is durable and in the inboxes of its recipients; each has its own result',
      roles: [...operators, 'agent'],
      capability: 'communication_management',
      body: newMessages,
      itemsOf: ({ messages }: { readonly messages: readonly unknown[] }) => messages.length,
      bodyLimitBytes: messagesLimitBytes,
      responses: {
        202: response('One result for each message, in the order given', messageResults.meta({ id: 'MessageResults' })),
      },
      errors: ['mailbox_full'],
    },
    getMessage: {
      route: 'GET /v1/messages/{id}',
      summary: 'Get the trace of a message, hop by hop',
      roles: [...readers, 'agent'],
      params: byId,
      responses: ok('The message and its hops', { message: messageTrace.meta({ id: 'MessageWay' }) }),
    },
    getReceipt: {
      route: 'GET /v1/receipts/{id}',
      summary: 'Get the receipt of a message: how many recipients received it, acknowledged it, or never will',
      roles: [...readers, 'agent'],
      params: byId,
      responses: ok('The receipt of the message with this id', { receipt: receiptView.meta({ id: 'Receipt' }) }),
    },
    storeBatch: {
      route: 'POST /v1/message-batches',
      summary: 'Store messages for a COMMUNICATION request that names them by batchId; kept for a day',
      roles: [...operators, 'agent'],
      capability: 'communication_management',
      body: messageBatch,
      bodyLimitBytes: messagesLimitBytes,
      responses: { 201: response('The batch was stored', { batchId: z.string() }) },
    },
  }),
  ...tagged('dead letters', {
    listDeadLetters: {
      route: 'GET /v1/dead-letters',
      summary: 'List dead letters with their reasons, newest first',
      roles: readers,
      query: z.strictObject({
        ...pageQuery,
        state: deadLetterState.optional(),
        reason: deadLetterReason.optional(),
        recipient: identifier.optional(),
        clusterId: derivedId.optional(),
      }),
      responses: page('A page of dead letters', { deadLetters: z.array(deadLetter) }),
    },
    replayDeadLetter: {
      route: 'POST /v1/dead-letters/{id}/replay',
      summary: 'Deliver a dead letter again, with a full number of attempts',
      roles: operators,
      capability: 'communication_management',
      params: byId,
      responses: ok('Replayed, and the number of recipients', { deadLetter, matched: z.int() }),
      errors: ['not_found', 'state_conflict'],
    },
    discardDeadLetter: {
      route: 'POST /v1/dead-letters/{id}/discard',
      summary: 'Discard a dead letter; it stays listed until its retention ends',
      roles: operators,
      capability: 'communication_management',
      params: byId,
      responses: ok('Discarded', { deadLetter }),
      errors: ['not_found', 'state_conflict'],
    },
  }),
};
