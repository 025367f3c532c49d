import type { ClusterState, ClusterView } from '../../contracts/clusters.js';
import { latencySummaries } from '../../messaging/latency.js';
import { newDissolution } from '../../operations/dissolution.js';
import { clusterView, clusterViews, findAgent, type ClustersDb } from '../../stores/clusters/index.js';
import { lastScores } from '../../stores/resources/index.js';
import { defined, pageByText } from '../cursor.js';
import type { ClusterDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { operationReply } from '../operation-reply.js';
import { visibleCluster } from '../visibility.js';
import { scoreViewOf } from './scaling.js';

const latencyWindowSeconds = 600;

export const clusterHandlers = (deps: ClusterDeps) =>
  ({
    listClusters: async ({ query: { cursor, limit, state }, principal: { agentId } }) => {
      const page = await pageByText(
        { cursor, limit },
        (after = '', atMost) => {
          const filter = { after, limit: atMost, ...defined({ state }) };
          return agentId === null ? clusterViews(deps.clusters, filter) : clustersOf(deps.clusters, agentId, filter);
        },
        ({ id }) => id,
      );
      return { clusters: page.rows, nextCursor: page.nextCursor };
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
  }) satisfies Partial<Handlers>;

/** The latest score; the unknown one of the cluster's row before the first score. */
async function stabilityOf(
  { resources }: ClusterDeps,
  { id, stability }: ClusterView,
): Promise<ClusterView['stability']> {
  const [last] = await lastScores(resources, id, 1);
  if (!last) return stability;
  const { score, parts, at } = scoreViewOf(last);
  return { score, parts, at };
}

/** An agent is a member of few clusters, so they are read one by one. */
async function clustersOf(
  clusters: ClustersDb,
  agentId: string,
  { after, limit, state }: { readonly after: string; readonly limit: number; readonly state?: ClusterState },
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
