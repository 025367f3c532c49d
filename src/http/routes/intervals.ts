import { requireCapability } from '../../operations/require-capability.js';
import type { OperationsDeps } from '../../operations/deps.js';
import type { Api } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { withinLimit } from '../../operations/within-limit.js';

const limitMs = 60_000;

const run = operationRoute({
  operationId: 'runFormationInterval',
  method: 'post',
  path: '/v1/intervals/formation',
  summary: "Do the formation interval's work now; with dryRun say what it would do",
  tags: ['intervals'],
  request: { body: { required: false, content: { 'application/json': { schema: shapes.intervalRequest } } } },
  responses: { 200: json(shapes.intervalReport, 'What was done, or would be') },
});

const scale = operationRoute({
  operationId: 'runScalingInterval',
  method: 'post',
  path: '/v1/intervals/scaling',
  summary:
    "Do the scaling interval's work now: assess all clusters, scale and rebalance; with dryRun say what it would do",
  tags: ['intervals'],
  request: { body: { required: false, content: { 'application/json': { schema: shapes.intervalRequest } } } },
  responses: { 200: json(shapes.scalingIntervalReport, 'What was done, or would be') },
});

export function intervalRoutes(api: Api, deps: OperationsDeps): void {
  api.openapi(run, async (c) => {
    requireCapability(deps, c.var.principal, 'cluster_management');
    const { dryRun } = shapes.intervalRequest.parse(c.req.valid('json'));
    const report = await withinLimit(
      deps.client.runFormationInterval({ dryRun }),
      limitMs,
      'The interval did not answer within a minute; see that Temporal and a worker run (/readyz, cluster-manager doctor)',
    );
    const { lines, served, repaired, resumed, ...rest } = report;
    return c.json(
      { ...rest, lines: [...lines], served: [...served], repaired: [...repaired], resumed: [...resumed] },
      200,
    );
  });

  api.openapi(scale, async (c) => {
    requireCapability(deps, c.var.principal, 'scaling');
    const { dryRun } = shapes.intervalRequest.parse(c.req.valid('json'));
    const { balances: _balances, ...report } = await withinLimit(
      deps.client.runScalingInterval({ dryRun }),
      limitMs,
      'The interval did not answer within a minute; see that Temporal and a worker run (/readyz, cluster-manager doctor)',
    );
    return c.json(report, 200);
  });
}
