import type { OperationId } from '../../contracts/ids.js';
import { requestHash } from '../../contracts/request-hash.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import type { NewOperation } from '../../stores/clusters/index.js';
import type { ActivityDeps } from '../deps.js';
import { requireCapability, requireOperationId } from '../shared/preconditions.js';

export interface AssessNeedsInput {
  readonly operationId: OperationId;
  readonly workflowId: string;
  /** As the caller wrote it, unread. */
  readonly request: unknown;
}

/**
 * The operation that a request asks for, checked.
 * @throws ManagerError `capability_disabled`, `invalid_request` with every problem.
 */
export function operationOf(deps: ActivityDeps, { operationId, workflowId, request }: AssessNeedsInput): NewOperation {
  requireCapability(deps, 'scaling', 'scale clusters');
  requireOperationId(operationId);
  const { clusterId } = parseScalingRequest(request);
  return {
    id: operationId,
    kind: 'SCALING',
    clusterId,
    workflowId,
    request,
    requestHash: requestHash('SCALING', request),
    requestedBy: 'temporal',
  };
}
