import { ManagerError } from '../../contracts/errors.js';
import {
  findOperation,
  listOperations,
  stepsOfMany,
  type OperationRow,
  type Principal,
} from '../../stores/clusters/index.js';
import { requesterOf } from '../../operations/requester.js';
import { nextCursor, positionOf, strangeCursor } from '../cursor.js';
import type { OperationsDeps } from '../../operations/deps.js';
import type { Api } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import { operationViewOf, toOperationView } from '../../operations/view.js';
import { hasEnded } from '../../operations/wait.js';
import { resumeOperation } from '../../operations/resume.js';
import * as shapes from '../shapes.js';
import { withinLimit } from '../../operations/within-limit.js';

const list = operationRoute({
  operationId: 'listOperations',
  method: 'get',
  path: '/v1/operations',
  summary: 'List operations, newest first',
  tags: ['operations'],
  request: { query: shapes.operationsQuery },
  responses: { 200: json(shapes.operationsPage, 'A page of operations') },
});

const get = operationRoute({
  operationId: 'getOperation',
  method: 'get',
  path: '/v1/operations/{id}',
  summary: 'Show an operation: its steps, attempts, result, and its page in the Temporal UI',
  tags: ['operations'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.operationAnswer, 'The operation') },
});

const cancel = operationRoute({
  operationId: 'cancelOperation',
  method: 'post',
  path: '/v1/operations/{id}/cancel',
  summary: 'Ask an operation to stop and undo what it did',
  tags: ['operations'],
  request: { params: shapes.byId },
  responses: { 202: json(shapes.operationAnswer, 'It was asked to stop') },
});

const temporalLimitMs = 5000;

export function operationRoutes(api: Api, deps: OperationsDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit, state, clusterId } = c.req.valid('query');
    const [createdAt, id] = positionOf(cursor, 2) ?? [];
    const rows = await listOperations(deps.clusters, {
      limit: limit + 1,
      ...(state === undefined ? {} : { state }),
      ...(clusterId === undefined ? {} : { clusterId }),
      ...(createdAt === undefined || id === undefined ? {} : { before: { createdAt: instant(createdAt), id } }),
    });
    const { page, nextCursor: next } = nextCursor(rows, limit, (row) => [row.createdAt.toISOString(), row.id]);
    const steps = await stepsOfMany(
      deps.clusters,
      page.map((row) => row.id),
    );
    const operations = page.map((row) => toOperationView(deps.config(), row, steps.get(row.id) ?? []));
    return c.json({ operations, nextCursor: next }, 200);
  });

  api.openapi(get, async (c) => {
    const row = await visible(deps, c.var.principal, c.req.valid('param').id);
    return c.json({ operation: await operationViewOf(deps, row) }, 200);
  });

  api.openapi(cancel, async (c) => {
    const row = await visible(deps, c.var.principal, c.req.valid('param').id);
    if (hasEnded(row)) {
      throw new ManagerError(
        'operation_ended',
        `Operation "${row.id}" has ended as ${row.state}; there is nothing to cancel`,
      );
    }
    await withinLimit(stop(deps, row), temporalLimitMs, 'Temporal cannot be reached; cancel again when it is back');
    return c.json({ operation: await operationViewOf(deps, row) }, 202);
  });
}

/** An operation that Temporal does not know was accepted while it was away: it is started, so that it can end as cancelled. */
async function stop(deps: OperationsDeps, row: OperationRow): Promise<void> {
  const progress = await deps.client.progress(row.workflowId);
  if (!progress?.running) await resumeOperation(deps, row);
  await deps.client.cancel(row.workflowId);
}

/** An agent sees the operations that it asked for itself. */
async function visible({ clusters }: OperationsDeps, principal: Principal, id: string): Promise<OperationRow> {
  const row = await findOperation(clusters, id);
  if (row && (principal.agentId === null || row.requestedBy === requesterOf(principal))) return row;
  throw new ManagerError('not_found', `There is no operation "${id}"`);
}

function instant(text: string): string {
  if (/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) && !Number.isNaN(Date.parse(text))) return text;
  throw strangeCursor();
}
