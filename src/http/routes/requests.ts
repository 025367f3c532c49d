import {
  inlineLimitBytes,
  parseCommunicationRequest,
  type CommunicationRequest,
} from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import { parseFormationRequest } from '../../contracts/formation.js';
import { clusterIdOf, workflowIds } from '../../contracts/ids.js';
import { processRequest, type ProcessRequest } from '../../contracts/operations.js';
import { requestHash } from '../../contracts/request-hash.js';
import {
  submitOperation,
  waitForOperation,
  operationIdOf,
  requesterOf,
  requireFunction,
} from '../../operations/submit.js';
import type { NewOperation, Principal } from '../../stores/clusters/index.js';
import type { Api, ApiDeps } from '../deps.js';
import { storeMessageBatch, messagesLimitBytes } from './messages.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import { hasEnded, operationViewOf } from '../../operations/view.js';
import { scalingOperation } from '../../operations/scaling-request.js';
import * as shapes from '../shapes.js';

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

export function requestRoutes(api: Api, deps: ApiDeps): void {
  api.openapi(process, async (c) => {
    const { wait } = c.req.valid('query');
    // As it was sent, not as it was parsed: defaults that a later release adds must not change a request's hash.
    const { requestId, ...asked } = await c.req.json<ProcessRequest>();
    const id = operationIdOf(c, requestId);
    const requestedBy = requesterOf(c.var.principal);
    const accepted = await submitOperation(deps, c.var.principal, {
      id,
      requestedBy,
      ...(asked.type === 'FORMATION'
        ? formation(deps, c.var.principal, id, asked)
        : asked.type === 'SCALING'
          ? await scaling(deps, c.var.principal, id, asked)
          : await communication(deps, c.var.principal, id, asked)),
    });
    const operation = await waitForOperation(deps, accepted, wait, c.req.raw.signal);
    c.header('location', `/v1/operations/${id}`);
    return c.json({ operation: await operationViewOf(deps, operation) }, hasEnded(operation) ? 200 : 202);
  });
}

type Asked = Pick<NewOperation, 'kind' | 'clusterId' | 'workflowId' | 'request' | 'requestHash'>;

function formation(
  deps: ApiDeps,
  principal: Principal,
  id: string,
  { type: kind, ...request }: Extract<ProcessRequest, { type: 'FORMATION' }>,
): Asked {
  requireFunction(deps, principal, 'cluster_management');
  parseFormationRequest(request, deps.config().clusterSize);
  return {
    kind,
    clusterId: clusterIdOf(id),
    workflowId: workflowIds.formation(id),
    request,
    requestHash: requestHash(kind, request),
  };
}

function scaling(
  deps: ApiDeps,
  principal: Principal,
  id: string,
  { type: _type, ...request }: Extract<ProcessRequest, { type: 'SCALING' }>,
): Promise<Asked> {
  return scalingOperation(deps, principal, id, request);
}

async function communication(
  deps: ApiDeps,
  principal: Principal,
  id: string,
  { type: kind, ...asked }: Extract<ProcessRequest, { type: 'COMMUNICATION' }>,
): Promise<Asked> {
  requireFunction(deps, principal, 'communication_management');
  parseCommunicationRequest(asked);
  const request = await carried(deps, requesterOf(principal), asked);
  return {
    kind,
    clusterId: '',
    workflowId: workflowIds.communication(id),
    request,
    requestHash: requestHash(kind, request),
  };
}

/**
 * Claim check: what is too large for a workflow's argument is stored, and the request names it.
 * @throws ManagerError `body_too_large` when what is left is too large all the same.
 */
async function carried(deps: ApiDeps, owner: string, request: CommunicationRequest): Promise<CommunicationRequest> {
  if (bytesOf(request) <= inlineLimitBytes) return request;
  const { messages = [], broadcasts = [], ...rest } = request;
  if (bytesOf(rest) > inlineLimitBytes) {
    throw new ManagerError(
      'body_too_large',
      `Without its messages and broadcasts the request has ${bytesOf(rest)} bytes, ${inlineLimitBytes} are allowed; ` +
        'ask for fewer changes at a time, and publish larger data with messages to {topic}',
    );
  }
  return { ...rest, batchId: await storeMessageBatch(deps, owner, { messages, broadcasts }) };
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
