import { parseFormationRequest } from '../contracts/formation.js';
import { clusterIdOf, workflowIds } from '../contracts/ids.js';
import { processRequest, type ProcessRequest } from '../contracts/operations.js';
import { requestHash } from '../contracts/request-hash.js';
import { acceptAndStart, awaitOperation, operationIdOf, requesterOf, requireAllowed } from './accept-request.js';
import type { Api, ApiDeps } from './deps.js';
import { json, jsonRequest, operationRoute } from './operation-route.js';
import { hasEnded, operationViewOf } from './operation-view.js';
import * as shapes from './shapes.js';

const process = operationRoute({
  operationId: 'processRequest',
  method: 'post',
  path: '/v1/requests',
  summary: 'Ask for one of the functions. With Idempotency-Key or requestId the same request is the same operation',
  tags: ['requests'],
  bodyLimitBytes: 64 * 1024,
  request: { query: shapes.waitQuery, headers: shapes.idempotencyHeader, body: jsonRequest(processRequest) },
  responses: {
    200: json(shapes.operationAnswer, 'The operation has ended'),
    202: json(shapes.operationAnswer, 'Accepted: stored and started'),
  },
});

export function requestRoutes(api: Api, deps: ApiDeps): void {
  api.openapi(process, async (c) => {
    const { wait } = c.req.valid('query');
    requireAllowed(deps, c.var.principal, 'cluster_management');
    // As it was sent, not as it was parsed: defaults that a later release adds must not change a request's hash.
    const { type, requestId, ...request } = await c.req.json<ProcessRequest>();
    parseFormationRequest(request, deps.config().clusterSize);
    const id = operationIdOf(c, requestId);
    const accepted = await acceptAndStart(deps, c.var.principal, {
      id,
      kind: type,
      clusterId: clusterIdOf(id),
      workflowId: workflowIds.formation(id),
      request,
      requestHash: requestHash(type, request),
      requestedBy: requesterOf(c.var.principal),
    });
    const operation = await awaitOperation(deps, accepted, wait, c.req.raw.signal);
    c.header('location', `/v1/operations/${id}`);
    return c.json({ operation: await operationViewOf(deps, operation) }, hasEnded(operation) ? 200 : 202);
  });
}
