import { inlineLimitBytes } from '../../contracts/communication.js';
import { processRequest, type ProcessRequest } from '../../contracts/operations.js';
import type { OperationsDeps } from '../../operations/deps.js';
import { newOperationOf } from '../../operations/new-operation.js';
import { operationIdOf } from '../../operations/operation-id.js';
import { submitOperation } from '../../operations/submit.js';
import { operationViewOf } from '../../operations/view.js';
import { hasEnded, waitForOperation } from '../../operations/wait.js';
import type { Api } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { messagesLimitBytes } from './messages.js';

const process = operationRoute({
  operationId: 'processRequest',
  method: 'post',
  path: '/v1/requests',
  summary: 'Ask for one of the functions. With Idempotency-Key or requestId the same request is the same operation',
  tags: ['requests'],
  // Messages are stored, not carried by the workflow; everything else of a request is.
  bodyLimitBytes: messagesLimitBytes,
  bodyLimitOf: (body) => (typeOf(body) === 'COMMUNICATION' ? undefined : inlineLimitBytes),
  request: { query: shapes.waitQuery, headers: shapes.idempotencyHeader, body: jsonRequest(processRequest) },
  responses: {
    200: json(shapes.operationAnswer, 'The operation has ended'),
    202: json(shapes.operationAnswer, 'Accepted: stored and started'),
  },
});

const typeOf = (body: unknown): unknown =>
  typeof body === 'object' && body !== null && 'type' in body ? body.type : undefined;

export function requestRoutes(api: Api, deps: OperationsDeps): void {
  api.openapi(process, async (c) => {
    const { wait } = c.req.valid('query');
    const { principal } = c.var;
    // As it was sent, not as it was parsed: defaults that a later release adds must not change a request's hash.
    const { requestId, ...asked } = await c.req.json<ProcessRequest>();
    const id = operationIdOf(principal, { requestId, idempotencyKey: c.req.header('idempotency-key') });
    const accepted = await submitOperation(deps, principal, await newOperationOf(deps, principal, id, asked));
    const operation = await waitForOperation(deps, accepted, wait, c.req.raw.signal);
    c.header('location', `/v1/operations/${id}`);
    return c.json({ operation: await operationViewOf(deps, operation) }, hasEnded(operation) ? 200 : 202);
  });
}
