import type { ClusterState, ClusterView } from '../../contracts/clusters.js';
import { decisionSummary, decisionView, scoreView, type ScaleCluster } from '../../contracts/decisions.js';
import { viewOf } from '../../contracts/view.js';
import { latencySummaries } from '../../messaging/latency.js';
import { newDissolution } from '../../operations/dissolution.js';
import { newScaling } from '../../operations/new-operation.js';
import { operationIdOf } from '../../operations/operation-id.js';
import { clusterView, clusterViews, findAgent, type ClustersDb } from '../../stores/clusters/index.js';
import { findDecision, lastScores, listDecisions, type ScoreRow } from '../../stores/resources/index.js';
import { pageByNumber, pageByText } from '../cursor.js';
import type { ClusterDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { operationReply } from '../operation-reply.js';
import { notFound, visibleCluster, visibleRow } from '../visibility.js';

const latencyWindowSeconds = 600;

export const clusterHandlers = (deps: ClusterDeps) =>
  ({
    listClusters: async ({ query, principal: { agentId } }) => {
      const { rows, nextCursor } = await pageByText(query, 'id', (page) =>
        agentId === null ? clusterViews(deps.clusters, page) : clustersOf(deps.clusters, agentId, page),
      );
      return { clusters: rows, nextCursor };
    },

    getCluster: async ({ params: { id }, principal }) => {
      const cluster = await visibleCluster(deps, principal, id);
      const communication = await latencySummaries(deps.communication, {
        clusterId: id,
        windowSeconds: latencyWindowSeconds,
        thresholdMs: deps.config().communicationLatencyMs,
      });
      return { cluster: { ...cluster, communication, stability: await stabilityOf(deps, cluster) } };
    },

    dissolveCluster: async ({ params: { id }, query: { wait }, body: { drainSeconds }, principal, raw }) => {
      const cluster = await visibleCluster(deps, principal, id);
      const operation = await newDissolution(deps, cluster, drainSeconds);
      return operationReply(deps, principal, operation, { waitSeconds: wait, signal: raw.signal });
    },

    scaleCluster: async ({ params, body, sentBody, query: { wait }, headers, principal, raw }) => {
      const id = operationIdOf(principal, { requestId: body.requestId, idempotencyKey: headers['idempotency-key'] });
      const { requestId: _requestId, ...sent } = sentBody as ScaleCluster;
      const operation = await newScaling(deps, principal, id, { clusterId: params.id, ...sent });
      return operationReply(deps, principal, operation, { waitSeconds: wait, signal: raw.signal });
    },

    listDecisions: async ({ params, query, principal }) => {
      const { id } = await visibleCluster(deps, principal, params.id);
      const { rows, nextCursor } = await pageByNumber(query, 'no', (page) => listDecisions(deps.resources, id, page));
      return { decisions: rows.map((row) => viewOf(decisionSummary, row)), nextCursor };
    },

    getDecision: async ({ params: { id }, principal }) => {
      const missing = notFound(`Decision "${id}"`, 'decisions are deleted when their retention ends');
      const row = await visibleRow(deps, principal, await findDecision(deps.resources, id), missing);
      return { decision: viewOf(decisionView, row) };
    },

    getScore: async ({ params, query: { count }, principal }) => {
      const { id } = await visibleCluster(deps, principal, params.id);
      return { clusterId: id, scores: (await lastScores(deps.resources, id, count)).map(scoreOf) };
    },
  }) satisfies Partial<Handlers>;

const scoreOf = (row: ScoreRow) => viewOf(scoreView, { ...row, at: new Date(row.atMs) });

/** The latest score; the unknown one of the cluster's row before the first score. */
async function stabilityOf(
  { resources }: ClusterDeps,
  { id, stability }: ClusterView,
): Promise<ClusterView['stability']> {
  const [last] = await lastScores(resources, id, 1);
  if (!last) return stability;
  const { score, parts, at } = scoreOf(last);
  return { score, parts, at };
}

/** An agent is a member of few clusters, so they are read one by one. */
async function clustersOf(
  clusters: ClustersDb,
  agentId: string,
  { after = '', limit, state }: { readonly after?: string; readonly limit: number; readonly state?: ClusterState },
): Promise<ClusterView[]> {
  const agent = await findAgent(clusters, agentId);
  const found: ClusterView[] = [];
  for (const id of (agent?.clusters ?? []).filter((clusterId) => clusterId > after).sort()) {
    const cluster = await clusterView(clusters, id);
    if (cluster && (state === undefined || cluster.state === state)) found.push(cluster);
    if (found.length >= limit) break;
  }
  return found;
}
