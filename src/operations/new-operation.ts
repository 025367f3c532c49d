import { communicationSpecOf } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import { formationSpecOf } from '../contracts/formation.js';
import { clusterIdOf, workflowIds } from '../contracts/ids.js';
import type { ProcessRequest, ValidProcessRequest } from '../contracts/operations.js';
import {
  findCluster,
  findOperation,
  requireScalable,
  type NewOperation,
  type Principal,
} from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { withStoredMessages } from './message-batch.js';
import { requesterOf, requireCapability } from './requester.js';

type Deps = Pick<OperationsDeps, 'clusters' | 'communication' | 'config'>;
type SentRequest<Type extends ProcessRequest['type']> = Omit<
  Extract<ProcessRequest, { type: Type }>,
  'requestId' | 'type'
>;
type NewRow = Omit<NewOperation, 'requestedBy'>;

/**
 * The operation that a request asks for; it writes no operation. The request is kept as it was sent, not as it was
 * validated: a default that a later release adds must not change its hash.
 * @param request the validated request.
 * @param sent the same request before validation.
 * @throws ManagerError when the configuration turned the function off, the request is invalid, or its cluster cannot be
 * scaled.
 */
export async function newOperationOf(
  deps: Deps,
  principal: Principal,
  id: string,
  request: ValidProcessRequest,
  { requestId: _requestId, type: _type, ...sent }: ProcessRequest,
): Promise<NewRow> {
  const { type: kind } = request;
  switch (kind) {
    case 'FORMATION': {
      requireCapability(deps, principal, 'cluster_management');
      formationSpecOf(request, deps.config().clusterSize);
      return { id, kind, clusterId: clusterIdOf(id), workflowId: workflowIds.formation(id), request: sent };
    }
    case 'COMMUNICATION': {
      requireCapability(deps, principal, 'communication_management');
      communicationSpecOf(request);
      const stored = await withStoredMessages(deps, requesterOf(principal), sent as SentRequest<'COMMUNICATION'>);
      return { id, kind, clusterId: '', workflowId: workflowIds.communication(id), request: stored };
    }
    case 'SCALING':
      return newScaling(deps, principal, id, sent as SentRequest<'SCALING'>);
    default:
      return kind satisfies never;
  }
}

/**
 * The operation that scales a cluster; it writes no operation.
 * @param request as it was sent; its fields are valid.
 * @throws ManagerError `forbidden` for agents, `not_found`, `state_conflict` for a cluster that is not active.
 */
export async function newScaling(
  deps: Deps,
  principal: Principal,
  id: string,
  request: SentRequest<'SCALING'>,
): Promise<NewRow> {
  requireCapability(deps, principal, 'scaling');
  refuseAgent(principal);
  const { clusterId } = request;
  // A request that was accepted before stays the same operation, whatever became of its cluster.
  if (!(await findOperation(deps.clusters, id))) {
    requireScalable(await findCluster(deps.clusters, clusterId), clusterId);
  }
  return { id, kind: 'SCALING', clusterId, workflowId: workflowIds.scaling(id), request };
}

function refuseAgent({ agentId }: Principal): void {
  if (agentId === null) return;
  throw new ManagerError(
    'forbidden',
    'SCALING is for admin, orchestrator; an agent reports its usage by heartbeats and POST /v1/usage instead',
  );
}
