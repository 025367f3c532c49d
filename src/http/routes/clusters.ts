import { dissolveRequest, type ClusterView } from '../../contracts/clusters.js';
import { latencySummaries } from '../../messaging/latency.js';
import { ManagerError } from '../../contracts/errors.js';
import { workflowIds } from '../../contracts/ids.js';
import { requestHash } from '../../contracts/request-hash.js';
import { clusterView, clusterViews, findAgent, findOperation } from '../../stores/clusters/index.js';
import { lastScores } from '../../stores/resources/index.js';
import { submitOperation, waitForOperation, requesterOf, requireFunction } from '../../operations/submit.js';
import { nextCursor, positionOf } from '../cursor.js';
import type { Api, ApiDeps } from '../deps.js';
import { json, operationRoute } from '../operation-route.js';
import { hasEnded, operationViewOf } from '../../operations/view.js';
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

export function clusterRoutes(api: Api, deps: ApiDeps): void {
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
    requireFunction(deps, c.var.principal, 'cluster_management');
    const { drainSeconds } = dissolveRequest.parse(c.req.valid('json'));
    const id = await dissolutionOf(deps, await visibleCluster(deps, c.var.principal, clusterId));
    const request = { clusterId, drainSeconds };
    const accepted = await submitOperation(deps, c.var.principal, {
      id,
      kind: 'DISSOLUTION',
      clusterId,
      workflowId: workflowIds.dissolution(clusterId),
      request,
      requestHash: requestHash('DISSOLUTION', request),
      requestedBy: requesterOf(c.var.principal),
    });
    const operation = await waitForOperation(deps, accepted, wait, c.req.raw.signal);
    c.header('location', `/v1/operations/${id}`);
    return c.json({ operation: await operationViewOf(deps, operation) }, hasEnded(operation) ? 200 : 202);
  });
}

/** The last score that was taken; as it stands in lists where there is none. */
async function stabilityOf({ resources }: ApiDeps, { id, stability }: ClusterView): Promise<ClusterView['stability']> {
  const [last] = await lastScores(resources, id, 1);
  if (!last) return stability;
  const { score, parts, at } = scoreViewOf(last);
  return { score, parts, at };
}

/** An agent is in few clusters, so they are read one by one. */
async function clustersOf(
  deps: ApiDeps,
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

/**
 * The operation that dissolves a cluster: derived from its id, so that asking twice is asking once. One that failed
 * does not stand in the way of another try.
 */
async function dissolutionOf({ clusters }: ApiDeps, cluster: ClusterView): Promise<string> {
  for (let attempt = 1; ; attempt += 1) {
    const id = `op_dissolve_${cluster.id}${attempt === 1 ? '' : `_${attempt}`}`;
    const known = await findOperation(clusters, id);
    if (known && hasEnded(known) && known.state !== 'completed' && cluster.state === 'active') continue;
    if (known || cluster.state === 'active') return id;
    throw new ManagerError(
      'state_conflict',
      cluster.state === 'forming'
        ? `Cluster "${cluster.id}" is still forming; cancel its operation ${cluster.operationId} instead`
        : `Cluster "${cluster.id}" is ${cluster.state}; only an active cluster can be dissolved`,
    );
  }
}
