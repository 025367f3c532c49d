import type { ClusterView } from '../contracts/clusters.js';
import { ManagerError } from '../contracts/errors.js';
import { clusterView, findAgent, type ClustersDb, type Principal } from '../stores/clusters/index.js';

interface Deps {
  readonly clusters: ClustersDb;
}

/** @throws ManagerError `not_found`, for an agent also when it is not a member. */
export async function visibleCluster({ clusters }: Deps, { agentId }: Principal, id: string): Promise<ClusterView> {
  const cluster = await clusterView(clusters, id);
  if (cluster && (agentId === null || cluster.members.some((member) => member.agentId === agentId))) return cluster;
  throw clusterNotFound(id);
}

/**
 * Requires that an agent is a member of the cluster that owns an object; other roles see the objects of all clusters.
 * @throws ManagerError `missing`, the same as for an object that does not exist, so that agents cannot probe ids.
 */
export async function requireMember(
  { clusters }: Deps,
  { agentId }: Principal,
  clusterId: string,
  missing: ManagerError = clusterNotFound(clusterId),
): Promise<void> {
  if (agentId === null || (await findAgent(clusters, agentId))?.clusters.includes(clusterId)) return;
  throw missing;
}

export const agentNotFound = (id: string): ManagerError =>
  new ManagerError('not_found', `Agent "${id}" does not exist`);

export const clusterNotFound = (id: string): ManagerError =>
  new ManagerError('not_found', `Cluster "${id}" does not exist`);
