import { ManagerError } from '../contracts/errors.js';
import { workflowIds } from '../contracts/ids.js';
import { requestHash } from '../contracts/request-hash.js';
import { parseScalingRequest, type ScalingRequest } from '../contracts/scaling.js';
import { findCluster, findOperation, type NewOperation, type Principal } from '../stores/clusters/index.js';
import { requireFunction } from './submit.js';
import type { ApiDeps } from '../http/deps.js';
import { clusterNotFound } from '../http/cluster-visibility.js';

/**
 * The operation that a scaling request asks for. What cannot be scaled is refused before anything is written, unless the
 * request is one that was accepted before: that stays the same operation for ever.
 * @throws ManagerError `forbidden` for agents, `not_found`, `state_conflict` for a cluster that is not active.
 */
export async function scalingOperation(
  deps: ApiDeps,
  principal: Principal,
  id: string,
  request: Omit<ScalingRequest, 'requestId'>,
): Promise<Pick<NewOperation, 'kind' | 'clusterId' | 'workflowId' | 'request' | 'requestHash'>> {
  requireFunction(deps, principal, 'scaling');
  if (principal.agentId !== null) {
    throw new ManagerError(
      'forbidden',
      'SCALING is for admin, orchestrator; an agent tells what it uses by heartbeats and POST /v1/usage instead',
    );
  }
  const { clusterId } = parseScalingRequest(request);
  if (!(await findOperation(deps.clusters, id))) await requireActive(deps, clusterId);
  return {
    kind: 'SCALING',
    clusterId,
    workflowId: workflowIds.scaling(id),
    request,
    requestHash: requestHash('SCALING', request),
  };
}

async function requireActive({ clusters }: ApiDeps, clusterId: string): Promise<void> {
  const cluster = await findCluster(clusters, clusterId);
  if (!cluster) throw clusterNotFound(clusterId);
  if (cluster.state === 'active') return;
  throw new ManagerError(
    'state_conflict',
    `Cluster "${clusterId}" is ${cluster.state}; only an active cluster can be scaled` +
      (cluster.state === 'forming' ? `: wait for its operation ${cluster.operationId}` : ''),
  );
}
