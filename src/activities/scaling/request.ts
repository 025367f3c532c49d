import { identifier } from '../../contracts/agents.js';
import { ManagerError } from '../../contracts/errors.js';
import { problemsOf } from '../../contracts/formation.js';
import type { OperationId } from '../../contracts/ids.js';
import { requestHash } from '../../contracts/request-hash.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import type { NewOperation } from '../../stores/clusters/index.js';
import type { ActivityDeps } from '../deps.js';

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
export function operationOf(
  { settings }: ActivityDeps,
  { operationId, workflowId, request }: AssessNeedsInput,
): NewOperation {
  if (!settings.capabilities.includes('scaling')) {
    throw new ManagerError(
      'capability_disabled',
      'This manager does not scale clusters: "scaling" is not among its capabilities',
    );
  }
  const id = identifier.safeParse(operationId);
  if (!id.success) {
    const problems = problemsOf(id.error).map((problem) => ({ ...problem, path: 'requestId' }));
    throw new ManagerError(
      'invalid_request',
      `requestId "${String(operationId).slice(0, 140)}" (given, or taken from the workflow id) ${problems[0]?.message ?? 'is not valid'}`,
      { problems },
    );
  }
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
