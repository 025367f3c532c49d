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

/** @returns the row, when it exists and the principal may see its cluster. @throws ManagerError `missing`. */
export async function visibleRow<Row extends { readonly clusterId: string }>(
  deps: Deps,
  principal: Principal,
  row: Row | undefined,
  missing: ManagerError,
): Promise<Row> {
  if (!row) throw missing;
  await requireMember(deps, principal, row.clusterId, missing);
  return row;
}

/** @param what with its id: `Pool "llm"`. @param hint why it may be missing, or what to do. */
export const notFound = (what: string, hint?: string): ManagerError =>
  new ManagerError('not_found', `${what} does not exist${hint ? `; ${hint}` : ''}`);

export const agentNotFound = (id: string): ManagerError => notFound(`Agent "${id}"`);

export const clusterNotFound = (id: string): ManagerError => notFound(`Cluster "${id}"`);
