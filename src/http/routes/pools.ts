import { ManagerError } from '../../contracts/errors.js';
import { putPool as poolSpec, type PoolView as PoolAnswer } from '../../contracts/resources.js';
import { findPool, listPools, putPool, removePool, type PoolView } from '../../stores/resources/index.js';
import { requireCapability } from '../../operations/require-capability.js';
import { nextCursor, positionOf } from '../cursor.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';

const list = operationRoute({
  operationId: 'listPools',
  method: 'get',
  path: '/v1/pools',
  summary: 'List pools by name, with what is used of their capacity',
  tags: ['resources'],
  request: { query: shapes.pageOnlyQuery },
  responses: { 200: json(shapes.poolsPage, 'A page of pools') },
});

const get = operationRoute({
  operationId: 'getPool',
  method: 'get',
  path: '/v1/pools/{name}',
  summary: 'Show a pool',
  tags: ['resources'],
  request: { params: shapes.byPool },
  responses: { 200: json(shapes.poolAnswer, 'The pool') },
});

const put = operationRoute({
  operationId: 'putPool',
  method: 'put',
  path: '/v1/pools/{name}',
  summary: 'Make a pool what is given; never below what is granted of it',
  tags: ['resources'],
  request: { params: shapes.byPool, body: jsonRequest(poolSpec) },
  responses: { 200: json(shapes.poolAnswer, 'The pool as it is now') },
});

const remove = operationRoute({
  operationId: 'deletePool',
  method: 'delete',
  path: '/v1/pools/{name}',
  summary: 'Delete a pool of which nothing is granted',
  tags: ['resources'],
  request: { params: shapes.byPool },
  responses: { 200: json(shapes.poolDeleted, 'Deleted') },
});

export function poolRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit } = c.req.valid('query');
    const after = positionOf(cursor, 1)?.[0];
    const rows = await listPools(deps.resources, { limit: limit + 1, ...(after === undefined ? {} : { after }) });
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ name }) => [name]);
    return c.json({ pools: page.map(poolViewOf), nextCursor: next }, 200);
  });

  api.openapi(get, async (c) => {
    const { name } = c.req.valid('param');
    const pool = await findPool(deps.resources, name);
    if (!pool) throw new ManagerError('not_found', `There is no pool "${name}"`);
    return c.json({ pool: poolViewOf(pool) }, 200);
  });

  api.openapi(put, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const pool = await putPool(deps.resources, { name: c.req.valid('param').name, ...c.req.valid('json') });
    return c.json({ pool: poolViewOf(pool) }, 200);
  });

  api.openapi(remove, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const { name } = c.req.valid('param');
    await removePool(deps.resources, name);
    return c.json({ name, deleted: true as const }, 200);
  });
}

export const poolViewOf = ({ name, labels, resources, createdAt }: PoolView): PoolAnswer => ({
  name,
  labels: { ...labels },
  resources: { ...resources },
  createdAt: createdAt.toISOString(),
});
