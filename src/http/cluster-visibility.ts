import type { ClusterView } from '../contracts/clusters.js';
import { ManagerError } from '../contracts/errors.js';
import { clusterView, findAgent, type ClustersDb, type Principal } from '../stores/clusters/index.js';

/** @throws ManagerError `not_found`, for an agent also when it is not a member. */
export async function visibleCluster(
  { clusters }: { readonly clusters: ClustersDb },
  { agentId }: Principal,
  id: string,
): Promise<ClusterView> {
  const cluster = await clusterView(clusters, id);
  if (cluster && (agentId === null || cluster.members.some((member) => member.agentId === agentId))) return cluster;
  throw clusterNotFound(id);
}

/**
 * For what is a cluster's: an agent that is no member must not learn that it is there.
 * @throws ManagerError `missing`, the refusal of what is not there at all.
 */
export async function requireMember(
  { clusters }: { readonly clusters: ClustersDb },
  { agentId }: Principal,
  clusterId: string,
  missing: ManagerError,
): Promise<void> {
  if (agentId === null || (await findAgent(clusters, agentId))?.clusters.includes(clusterId)) return;
  throw missing;
}

export const clusterNotFound = (id: string): ManagerError =>
  new ManagerError('not_found', `There is no cluster "${id}"`);
