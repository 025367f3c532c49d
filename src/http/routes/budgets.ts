import { v7 as uuidv7 } from 'uuid';
import { ManagerError } from '../../contracts/errors.js';
import { commitOf, newHold, putBudget as budgetSpec, type HoldAnswer as Answer } from '../../contracts/resources.js';
import { findCluster, type Principal } from '../../stores/clusters/index.js';
import {
  budgetsOf,
  commitHold,
  findBudget,
  findHold,
  putBudget,
  releaseHold,
  placeHold,
  type HoldOutcome,
} from '../../stores/resources/index.js';
import { requireCapability } from '../../operations/require-capability.js';
import { nextCursor, positionOf } from '../cursor.js';
import type { Api, ResourceDeps } from '../deps.js';
import { json, jsonRequest, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { clusterNotFound, requireMember } from '../cluster-visibility.js';

const list = operationRoute({
  operationId: 'listBudgets',
  method: 'get',
  path: '/v1/budgets',
  summary: 'List the budgets of a cluster, with what is reserved, spent and left',
  tags: ['budgets'],
  request: { query: shapes.ofClusterQuery },
  responses: { 200: json(shapes.budgetsPage, 'A page of budgets') },
});

const put = operationRoute({
  operationId: 'putBudget',
  method: 'put',
  path: '/v1/budgets/{id}',
  summary: 'Write a budget, or change its limit; never below what is spent and reserved',
  tags: ['budgets'],
  request: { params: shapes.byBudget, body: jsonRequest(budgetSpec) },
  responses: { 200: json(shapes.budgetAnswer, 'The budget as it is now') },
});

const setAside = operationRoute({
  operationId: 'reserveBudget',
  method: 'post',
  path: '/v1/budgets/{id}/reserve',
  summary: 'Set an amount aside before it is used; it is free again when the lease ends',
  tags: ['budgets'],
  request: { params: shapes.byBudget, body: jsonRequest(newHold) },
  responses: { 200: json(shapes.reservedAnswer, 'Reserved') },
});

const commit = operationRoute({
  operationId: 'commitReservation',
  method: 'post',
  path: '/v1/reservations/{id}/commit',
  summary: 'Say what was really used: that is spent, the rest is free again',
  tags: ['budgets'],
  request: { params: shapes.byReservation, body: jsonRequest(commitOf) },
  responses: { 200: json(shapes.reservedAnswer, 'Committed') },
});

const giveBack = operationRoute({
  operationId: 'releaseReservation',
  method: 'post',
  path: '/v1/reservations/{id}/release',
  summary: 'Give a reservation back unused',
  tags: ['budgets'],
  request: { params: shapes.byReservation },
  responses: { 200: json(shapes.reservedAnswer, 'Released') },
});

export function budgetRoutes(api: Api, deps: ResourceDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit, clusterId } = c.req.valid('query');
    await requireMember(deps, c.var.principal, clusterId, clusterNotFound(clusterId));
    const after = positionOf(cursor, 1)?.[0];
    const page = { limit: limit + 1, ...(after === undefined ? {} : { after }) };
    const { page: budgets, nextCursor: next } = nextCursor(
      await budgetsOf(deps.resources, clusterId, page),
      limit,
      ({ id }) => [id],
    );
    return c.json({ budgets: [...budgets], nextCursor: next }, 200);
  });

  api.openapi(put, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const budget = { id: c.req.valid('param').id, ...c.req.valid('json') };
    const cluster = await findCluster(deps.clusters, budget.clusterId);
    if (!cluster) throw clusterNotFound(budget.clusterId);
    if (cluster.state === 'dissolved' || cluster.state === 'failed') {
      throw new ManagerError('state_conflict', `Cluster "${cluster.id}" is ${cluster.state}; it has nothing to spend`);
    }
    return c.json({ budget: await putBudget(deps.resources, budget) }, 200);
  });

  api.openapi(setAside, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const { id: budgetId } = c.req.valid('param');
    const missing = new ManagerError('not_found', `There is no budget "${budgetId}"`);
    const budget = await findBudget(deps.resources, budgetId);
    if (!budget) throw missing;
    await requireMember(deps, c.var.principal, budget.clusterId, missing);
    const { reservationId = `rsv_${uuidv7()}`, amount, leaseSeconds } = c.req.valid('json');
    const reservedBy = c.var.principal.agentId;
    const done = await placeHold(deps.resources, {
      budgetId,
      holdId: reservationId,
      amount,
      leaseSeconds,
      reservedBy,
    });
    return c.json(answerOf(done), 200);
  });

  // What is spent is told, and what is not needed given back, whatever the settings say now.
  api.openapi(commit, async (c) => {
    const { id } = c.req.valid('param');
    await requireVisible(deps, c.var.principal, id);
    return c.json(answerOf(await commitHold(deps.resources, id, c.req.valid('json').actual)), 200);
  });

  api.openapi(giveBack, async (c) => {
    const { id } = c.req.valid('param');
    await requireVisible(deps, c.var.principal, id);
    return c.json(answerOf(await releaseHold(deps.resources, id)), 200);
  });
}

/** Who reserved may say what became of it whatever became of its membership: what is spent must be told. */
async function requireVisible(deps: ResourceDeps, principal: Principal, id: string): Promise<void> {
  const missing = new ManagerError(
    'not_found',
    `There is no reservation "${id}"; those that ended are kept for a while`,
  );
  const reservation = await findHold(deps.resources, id);
  const budget = reservation && (await findBudget(deps.resources, reservation.budgetId));
  if (!budget) throw missing;
  if (principal.agentId !== null && principal.agentId === reservation.reservedBy) return;
  await requireMember(deps, principal, budget.clusterId, missing);
}

const answerOf = ({ reservation: { reservedBy: _reservedBy, ...reservation }, budget }: HoldOutcome): Answer => ({
  reservation: { ...reservation, leaseExpiresAt: reservation.leaseExpiresAt.toISOString() },
  budget,
});
