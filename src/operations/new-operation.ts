import { parseCommunicationRequest } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import { parseFormationRequest } from '../contracts/formation.js';
import { clusterIdOf, workflowIds } from '../contracts/ids.js';
import type { ProcessRequest } from '../contracts/operations.js';
import { requestHash } from '../contracts/request-hash.js';
import { parseScalingRequest } from '../contracts/scaling.js';
import { findCluster, findOperation, type NewOperation, type Principal } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { withStoredMessages } from './message-batch.js';
import { requireCapability } from './require-capability.js';
import { requesterOf } from './requester.js';

type Deps = Pick<OperationsDeps, 'clusters' | 'communication' | 'config'>;
type RequestOf<Type extends ProcessRequest['type']> = Omit<Extract<ProcessRequest, { type: Type }>, 'requestId'>;
export type NewRequest = RequestOf<'FORMATION'> | RequestOf<'COMMUNICATION'> | RequestOf<'SCALING'>;

/**
 * The operation that a request asks for; it writes no operation. The request is kept as it was sent, not as it was
 * parsed: a default that a later release adds must not change its hash.
 * @throws ManagerError when the configuration turned the function off, the request is invalid, or its cluster cannot be
 * scaled.
 */
export async function newOperationOf(
  deps: Deps,
  principal: Principal,
  id: string,
  asked: NewRequest,
): Promise<Omit<NewOperation, 'requestedBy'>> {
  switch (asked.type) {
    case 'FORMATION': {
      const { type: kind, ...request } = asked;
      requireCapability(deps, principal, 'cluster_management');
      parseFormationRequest(request, deps.config().clusterSize);
      const workflowId = workflowIds.formation(id);
      return { id, kind, clusterId: clusterIdOf(id), workflowId, request, requestHash: requestHash(kind, request) };
    }
    case 'COMMUNICATION': {
      const { type: kind, ...sent } = asked;
      requireCapability(deps, principal, 'communication_management');
      parseCommunicationRequest(sent);
      const request = await withStoredMessages(deps, requesterOf(principal), sent);
      const workflowId = workflowIds.communication(id);
      return { id, kind, clusterId: '', workflowId, request, requestHash: requestHash(kind, request) };
    }
    case 'SCALING': {
      const { type: kind, ...request } = asked;
      requireCapability(deps, principal, 'scaling');
      refuseAgent(principal);
      const { clusterId } = parseScalingRequest(request);
      // A request that was accepted before stays the same operation, whatever became of its cluster.
      if (!(await findOperation(deps.clusters, id))) await requireActiveCluster(deps, clusterId);
      const workflowId = workflowIds.scaling(id);
      return { id, kind, clusterId, workflowId, request, requestHash: requestHash(kind, request) };
    }
    default:
      return asked satisfies never;
  }
}

function refuseAgent({ agentId }: Principal): void {
  if (agentId === null) return;
  throw new ManagerError(
    'forbidden',
    'SCALING is for admin, orchestrator; an agent reports its usage by heartbeats and POST /v1/usage instead',
  );
}

async function requireActiveCluster({ clusters }: Deps, clusterId: string): Promise<void> {
  const cluster = await findCluster(clusters, clusterId);
  if (!cluster) throw new ManagerError('not_found', `There is no cluster "${clusterId}"`);
  if (cluster.state === 'active') return;
  throw new ManagerError(
    'state_conflict',
    `Cluster "${clusterId}" is ${cluster.state}; only an active cluster can be scaled` +
      (cluster.state === 'forming' ? `: wait for its operation ${cluster.operationId}` : ''),
  );
}
