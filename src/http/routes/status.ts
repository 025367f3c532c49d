import { countAgents, countClusters, countOperations, eventsAfter } from '../../stores/clusters/index.js';
import type { Api, ManagerDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import * as shapes from '../shapes.js';
import { productVersion } from '../version.js';

const status = operationRoute({
  operationId: 'getStatus',
  method: 'get',
  path: '/v1/status',
  summary: 'The whole at a glance: the manager, agents, clusters, operations, thresholds',
  tags: ['status'],
  responses: { 200: json(shapes.statusAnswer, 'The status') },
});

const events = operationRoute({
  operationId: 'listEvents',
  method: 'get',
  path: '/v1/events',
  summary: 'Events after a sequence number, oldest first. Who goes on from `next` misses none',
  tags: ['status'],
  request: { query: shapes.eventsQuery },
  responses: { 200: json(shapes.eventsPage, 'A page of events') },
});

export function statusRoutes(api: Api, deps: ManagerDeps): void {
  api.openapi(status, async (c) => {
    const config = deps.config();
    const [agents, clusters, operations] = await Promise.all([
      countAgents(deps.clusters),
      countClusters(deps.clusters),
      countOperations(deps.clusters),
    ]);
    const { id: serverId, startedAt } = deps.server;
    return c.json(
      {
        manager: {
          id: config.id,
          name: config.name,
          serverId,
          version: productVersion,
          nodeVersion: process.versions.node,
          startedAt: startedAt.toISOString(),
          uptimeSeconds: Math.floor((Date.now() - startedAt.getTime()) / 1000),
          capabilities: [...config.capabilities],
          relationships: [...config.relationships],
        },
        agents,
        clusters: { ...clusters },
        operations: { ...operations },
        formationInterval: { ...config.formationInterval },
        scalingInterval: { ...config.scalingInterval },
        thresholds: {
          clusterSize: config.clusterSize,
          communicationLatencyMs: config.communicationLatencyMs,
          resourceUsageRatio: config.resourceUsageRatio,
          stabilityScore: config.stabilityScore,
        },
      },
      200,
    );
  });

  api.openapi(events, async (c) => {
    const { after, limit } = c.req.valid('query');
    const rows = await eventsAfter(deps.clusters, after, limit);
    const page = rows.map((row) => ({ ...row, time: row.time.toISOString() }));
    return c.json({ events: page, next: page.at(-1)?.seq ?? after }, 200);
  });
}
