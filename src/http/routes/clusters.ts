import { dissolveRequest, type ClusterView } from '../../contracts/clusters.js';
import { latencySummaries } from '../../messaging/latency.js';
import { clusterView, clusterViews, findAgent } from '../../stores/clusters/index.js';
import { lastScores } from '../../stores/resources/index.js';
import { newDissolution } from '../../operations/dissolution.js';
import { submitOperation } from '../../operations/submit.js';
import { waitForOperation } from '../../operations/wait.js';
import { requireCapability } from '../../operations/require-capability.js';
import { nextCursor, positionOf } from '../cursor.js';
import type { Api, ClusterDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import { operationViewOf } from '../../operations/view.js';
import { hasEnded } from '../../operations/wait.js';
import { scoreViewOf } from './score-view.js';
import * as shapes from '../shapes.js';
import { visibleCluster } from '../cluster-visibility.js';

const list = operationRoute({
  operationId: 'listClusters',
  method: 'get',
  path: '/v1/clusters',
  summary: 'List clusters by id; an agent sees those it is a member of',
  tags: ['clusters'],
  request: { query: shapes.clustersQuery },
  responses: { 200: json(shapes.clustersPage, 'A page of clusters') },
});

const get = operationRoute({
  operationId: 'getCluster',
  method: 'get',
  path: '/v1/clusters/{id}',
  summary: 'Show a cluster: members, roles, epoch, links',
  tags: ['clusters'],
  request: { params: shapes.byId },
  responses: { 200: json(shapes.clusterAnswer, 'The cluster') },
});

const dissolve = operationRoute({
  operationId: 'dissolveCluster',
  method: 'delete',
  path: '/v1/clusters/{id}',
  summary: 'Dissolve a cluster, draining its mail first. Twice is the same operation',
  tags: ['clusters'],
  request: {
    params: shapes.byId,
    query: shapes.waitQuery,
    body: { required: false, content: { 'application/json': { schema: dissolveRequest } } },
  },
  responses: {
    200: json(shapes.operationAnswer, 'The operation has ended'),
    202: json(shapes.operationAnswer, 'Accepted: stored and started'),
  },
});

const latencyWindowSeconds = 600;

export function clusterRoutes(api: Api, deps: ClusterDeps): void {
  api.openapi(list, async (c) => {
    const { cursor, limit, state } = c.req.valid('query');
    const filter = {
      after: positionOf(cursor, 1)?.[0] ?? '',
      limit: limit + 1,
      ...(state === undefined ? {} : { state }),
    };
    const { agentId } = c.var.principal;
    const rows = agentId === null ? await clusterViews(deps.clusters, filter) : await clustersOf(deps, agentId, filter);
    const { page, nextCursor: next } = nextCursor(rows, limit, ({ id }) => [id]);
    return c.json({ clusters: [...page], nextCursor: next }, 200);
  });

  api.openapi(get, async (c) => {
    const cluster = await visibleCluster(deps, c.var.principal, c.req.valid('param').id);
    const communication = await latencySummaries(deps.communication, {
      clusterId: cluster.id,
      windowSeconds: latencyWindowSeconds,
      thresholdMs: deps.config().communicationLatencyMs,
    });
    return c.json({ cluster: { ...cluster, communication, stability: await stabilityOf(deps, cluster) } }, 200);
  });

  api.openapi(dissolve, async (c) => {
    const { id: clusterId } = c.req.valid('param');
    const { wait } = c.req.valid('query');
    requireCapability(deps, c.var.principal, 'cluster_management');
    const { drainSeconds } = dissolveRequest.parse(c.req.valid('json'));
    const cluster = await visibleCluster(deps, c.var.principal, clusterId);
    const dissolution = await newDissolution(deps, cluster, drainSeconds);
    const accepted = await submitOperation(deps, c.var.principal, dissolution);
    const operation = await waitForOperation(deps, accepted, wait, c.req.raw.signal);
    c.header('location', `/v1/operations/${operation.id}`);
    return c.json({ operation: await operationViewOf(deps, operation) }, hasEnded(operation) ? 200 : 202);
  });
}

/** The last score that was taken; as it stands in lists where there is none. */
async function stabilityOf(
  { resources }: ClusterDeps,
  { id, stability }: ClusterView,
): Promise<ClusterView['stability']> {
  const [last] = await lastScores(resources, id, 1);
  if (!last) return stability;
  const { score, parts, at } = scoreViewOf(last);
  return { score, parts, at };
}

/** An agent is in few clusters, so they are read one by one. */
async function clustersOf(
  deps: ClusterDeps,
  agentId: string,
  { after, limit, state }: { readonly after: string; readonly limit: number; readonly state?: ClusterView['state'] },
): Promise<ClusterView[]> {
  const agent = await findAgent(deps.clusters, agentId);
  const found: ClusterView[] = [];
  for (const id of (agent?.clusters ?? []).filter((clusterId) => clusterId > after).sort()) {
    const cluster = await clusterView(deps.clusters, id);
    if (cluster && (state === undefined || cluster.state === state)) found.push(cluster);
    if (found.length >= limit) break;
  }
  return found;
}
