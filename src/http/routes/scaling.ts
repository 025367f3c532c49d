import type { Context } from 'hono';
import { scaleCluster, type DecisionSummary, type DecisionView, type ScaleCluster } from '../../contracts/decisions.js';
import { ManagerError } from '../../contracts/errors.js';
import { findDecision, lastScores, listDecisions, type DecisionRow } from '../../stores/resources/index.js';
import { submitOperation } from '../../operations/submit.js';
import { waitForOperation } from '../../operations/wait.js';
import { operationIdOf } from '../../operations/operation-id.js';
import { nextCursor, numberIn, positionOf } from '../cursor.js';
import type { Api, ClusterDeps, ApiEnv } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import { operationViewOf } from '../../operations/view.js';
import { hasEnded } from '../../operations/wait.js';
import { newOperationOf } from '../../operations/new-operation.js';
import { scoreViewOf } from './score-view.js';
import * as shapes from '../shapes.js';
import { requireMember, visibleCluster } from '../cluster-visibility.js';

const scale = operationRoute({
  operationId: 'scaleCluster',
  method: 'post',
  path: '/v1/clusters/{id}/scale',
  summary: 'Bring a cluster to the size it needs, or to the one asked for, and verify that it does it good',
  tags: ['scaling'],
  request: {
    params: shapes.byId,
    query: shapes.waitQuery,
    headers: shapes.idempotencyHeader,
    body: { required: false, content: { 'application/json': { schema: scaleCluster } } },
  },
  responses: {
    200: json(shapes.operationAnswer, 'The operation has ended'),
    202: json(shapes.operationAnswer, 'Accepted: stored and started'),
  },
});

const list = operationRoute({
  operationId: 'listDecisions',
  method: 'get',
  path: '/v1/clusters/{id}/decisions',
  summary: "List the decisions about a cluster's size, newest first, each as a sentence",
  tags: ['scaling'],
  request: { params: shapes.byId, query: shapes.pageOnlyQuery },
  responses: { 200: json(shapes.decisionsPage, 'A page of decisions') },
});

const get = operationRoute({
  operationId: 'getDecision',
  method: 'get',
  path: '/v1/decisions/{id}',
  summary: 'Show a decision with everything it followed from, and what became of it',
  tags: ['scaling'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.decisionAnswer, 'The decision') },
});

const score = operationRoute({
  operationId: 'getScore',
  method: 'get',
  path: '/v1/clusters/{id}/score',
  summary: "Show a cluster's last stability scores with their parts, oldest first",
  tags: ['scaling'],
  request: { params: shapes.byId, query: shapes.scoreQuery },
  responses: { 200: json(shapes.scoresAnswer, 'The scores; none when nobody has looked yet') },
});

export function scalingRoutes(api: Api, deps: ClusterDeps): void {
  api.openapi(scale, async (c) => {
    const { wait } = c.req.valid('query');
    const { requestId, ...asked } = await bodyOf(c);
    const { principal } = c.var;
    const id = operationIdOf(principal, { requestId, idempotencyKey: c.req.header('idempotency-key') });
    const request = { type: 'SCALING' as const, clusterId: c.req.valid('param').id, ...asked };
    const accepted = await submitOperation(deps, principal, await newOperationOf(deps, principal, id, request));
    const operation = await waitForOperation(deps, accepted, wait, c.req.raw.signal);
    c.header('location', `/v1/operations/${id}`);
    return c.json({ operation: await operationViewOf(deps, operation) }, hasEnded(operation) ? 200 : 202);
  });

  api.openapi(list, async (c) => {
    const { cursor, limit } = c.req.valid('query');
    const { id } = await visibleCluster(deps, c.var.principal, c.req.valid('param').id);
    const before = numberIn(positionOf(cursor, 1)?.[0]);
    const filter = { limit: limit + 1, ...(before === undefined ? {} : { before }) };
    const rows = await listDecisions(deps.resources, id, filter);
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ no }) => [String(no)]);
    return c.json({ decisions: page.map(summaryOf), nextCursor: next }, 200);
  });

  api.openapi(get, async (c) => {
    const { id } = c.req.valid('param');
    const missing = new ManagerError('not_found', `There is no decision "${id}"; old ones are deleted after a while`);
    const row = await findDecision(deps.resources, id);
    if (!row) throw missing;
    await requireMember(deps, c.var.principal, row.clusterId, missing);
    return c.json({ decision: viewOf(row) }, 200);
  });

  api.openapi(score, async (c) => {
    const { id } = await visibleCluster(deps, c.var.principal, c.req.valid('param').id);
    const scores = await lastScores(deps.resources, id, c.req.valid('query').count);
    return c.json({ clusterId: id, scores: scores.map(scoreViewOf) }, 200);
  });
}

/** As it was sent, not as it was parsed: a default that a later release adds must not change a request's hash. */
async function bodyOf(c: Context<ApiEnv>): Promise<ScaleCluster> {
  const text = await c.req.text();
  return text === '' ? {} : (JSON.parse(text) as ScaleCluster);
}

const summaryOf = ({ id, clusterId, operationId, round, at, sentence, outcome }: DecisionRow): DecisionSummary => ({
  id,
  clusterId,
  operationId,
  round,
  at: at.toISOString(),
  sentence,
  outcome,
});

const viewOf = (row: DecisionRow): DecisionView => ({
  ...summaryOf(row),
  decision: row.decision,
  facts: row.facts,
  outcomeDetail: row.outcomeDetail,
});
