import { z } from 'zod';
import { inlineLimitBytes } from '../communication.js';
import {
  byId,
  idempotencyHeaders,
  ok,
  operators,
  page,
  pageQuery,
  readers,
  response,
  tagged,
  waitQuery,
} from '../endpoint.js';
import { derivedId } from '../messages.js';
import { operationState, operationView, processRequest } from '../operations.js';
import { messagesLimitBytes } from './messages.js';

const operation = operationView.meta({ id: 'Operation' });
const operationBody = z.object({ operation });

/** The responses of each call that starts an operation. */
export const operationResponses = {
  200: response('The operation has ended', operationBody),
  202: response('Accepted: the operation is stored and started', operationBody),
};

const typeOf = (body: unknown): unknown =>
  typeof body === 'object' && body !== null && 'type' in body ? body.type : undefined;

export const operationEndpoints = {
  ...tagged('requests', {
    processRequest: {
      route: 'POST /v1/requests',
      summary: 'Request an operation. With Idempotency-Key or requestId the same request is the same operation',
      roles: [...operators, 'agent'],
      query: waitQuery,
      headers: idempotencyHeaders,
      body: processRequest,
      // Messages are stored before the workflow starts; all other requests travel in the workflow's argument.
      bodyLimitBytes: messagesLimitBytes,
      bodyLimitOf: (body: unknown) => (typeOf(body) === 'COMMUNICATION' ? undefined : inlineLimitBytes),
      responses: operationResponses,
      errors: ['capability_disabled', 'relationship_refused', 'not_found', 'state_conflict', 'idempotency_conflict'],
    },
  }),
  ...tagged('operations', {
    listOperations: {
      route: 'GET /v1/operations',
      summary: 'List operations, newest first',
      roles: readers,
      query: z.strictObject({ ...pageQuery, state: operationState.optional(), clusterId: derivedId.optional() }),
      responses: page('A page of operations', { operations: z.array(operation) }),
    },
    getOperation: {
      route: 'GET /v1/operations/{id}',
      summary: 'Get an operation: its steps, attempts, result, and its page in the Temporal UI',
      roles: [...readers, 'agent'],
      params: byId,
      responses: ok('The operation', operationBody),
    },
    cancelOperation: {
      route: 'POST /v1/operations/{id}/cancel',
      summary: 'Cancel an operation: it stops and compensates the steps that it completed',
      roles: [...operators, 'agent'],
      params: byId,
      responses: { 202: response('Cancellation was requested', operationBody) },
      errors: ['not_found', 'operation_ended'],
    },
  }),
};
