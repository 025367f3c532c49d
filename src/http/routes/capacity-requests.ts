import { ManagerError } from '../../contracts/errors.js';
import { workflowIds } from '../../contracts/ids.js';
import type { CapacityRequestView } from '../../contracts/capacity-requests.js';
import { capacityAnswer, type CapacityAnswer } from '../../contracts/scaling.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  saveCapacityAnswer,
  findCapacityRequest,
  listCapacityRequests,
  type CapacityRequestRow,
} from '../../stores/resources/index.js';
import { requesterOf } from '../../operations/requester.js';
import { requireCapability } from '../../operations/require-capability.js';
import { nextCursor, numberIn, positionOf } from '../cursor.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const list = operationRoute({
  operationId: 'listResourceRequests',
  method: 'get',
  path: '/v1/resource-requests',
  summary: 'List what clusters ask the orchestrator for, newest first',
  tags: ['resource requests'],
  request: { query: shapes.resourceRequestsQuery },
  responses: { 200: json(shapes.resourceRequestsPage, 'A page of requests') },
});

const get = operationRoute({
  operationId: 'getResourceRequest',
  method: 'get',
  path: '/v1/resource-requests/{id}',
  summary: 'Show what a cluster asks for, and how it was answered',
  tags: ['resource requests'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.resourceRequestAnswer, 'The request') },
});

const optionalReason = { required: false, content: { 'application/json': { schema: capacityAnswer } } } as const;

const grant = operationRoute({
  operationId: 'grantResources',
  method: 'post',
  path: '/v1/resource-requests/{id}/grant',
  summary: 'Say that what was asked for is there now: the run looks again. The same answer again changes nothing',
  tags: ['resource requests'],
  request: { params: shapes.byId, body: optionalReason },
  responses: { 200: json(shapes.resourceRequestAnswer, 'Granted') },
});

const deny = operationRoute({
  operationId: 'denyResources',
  method: 'post',
  path: '/v1/resource-requests/{id}/deny',
  summary: 'Say that there will be no more: the run ends with what it has. The same answer again changes nothing',
  tags: ['resource requests'],
  request: { params: shapes.byId, body: optionalReason },
  responses: { 200: json(shapes.resourceRequestAnswer, 'Denied') },
});

export function resourceRequestRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit, state, clusterId } = c.req.valid('query');
    const before = numberIn(positionOf(cursor, 1)?.[0]);
    const rows = await listCapacityRequests(deps.resources, {
      ...(state === undefined ? {} : { state }),
      ...(clusterId === undefined ? {} : { clusterId }),
      ...(before === undefined ? {} : { before }),
      limit: limit + 1,
    });
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ no }) => [String(no)]);
    return c.json({ resourceRequests: page.map(viewOf), nextCursor: next }, 200);
  });

  api.openapi(get, async (c) => {
    const { id } = c.req.valid('param');
    const row = await findCapacityRequest(deps.resources, id);
    if (!row) throw new ManagerError('not_found', `There is no resource request "${id}"; list those that are open`);
    return c.json({ resourceRequest: viewOf(row) }, 200);
  });

  api.openapi(grant, async (c) => {
    const answer = c.req.valid('json');
    return c.json(
      { resourceRequest: await answered(deps, c.var.principal, c.req.valid('param').id, { state: 'granted', answer }) },
      200,
    );
  });

  api.openapi(deny, async (c) => {
    const answer = c.req.valid('json');
    return c.json(
      { resourceRequest: await answered(deps, c.var.principal, c.req.valid('param').id, { state: 'denied', answer }) },
      200,
    );
  });
}

/** Compare-and-set, then a hint: who waits for the answer looks again at its deadline anyway. */
async function answered(
  deps: ResourceDeps,
  principal: Principal,
  id: string,
  given: { readonly state: 'granted' | 'denied'; readonly answer: CapacityAnswer | undefined },
): Promise<CapacityRequestView> {
  requireCapability(deps, principal, 'scaling');
  // Without a body there is none to validate, and none of its fields.
  const answer = given.answer?.reason === undefined ? {} : { reason: given.answer.reason };
  const row = await saveCapacityAnswer(deps.resources, id, { state: given.state, by: requesterOf(principal), answer });
  const workflowId = workflowIds.scaling(row.operationId);
  deps.client.wake(workflowId).catch((err: unknown) => deps.logger.warn({ err, workflowId }, 'wake failed'));
  return viewOf(row);
}

function viewOf(row: CapacityRequestRow): CapacityRequestView {
  // Nobody can answer it any more, whether or not it was tidied up yet.
  const isOver = row.state === 'open' && row.deadlineAt.getTime() <= Date.now();
  return {
    id: row.id,
    clusterId: row.clusterId,
    operationId: row.operationId,
    round: row.round,
    need: row.need,
    reason: row.reason,
    state: isOver ? 'expired' : row.state,
    openedAt: row.openedAt.toISOString(),
    deadlineAt: row.deadlineAt.toISOString(),
    answeredAt: row.answeredAt?.toISOString() ?? null,
    answeredBy: row.answeredBy,
    answerReason: (row.answer as { readonly reason?: string } | null)?.reason ?? null,
  };
}
