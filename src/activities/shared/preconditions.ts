import { identifier } from '../../contracts/agents.js';
import { ManagerError, requireEnabled } from '../../contracts/errors.js';
import { problemsOf } from '../../contracts/formation.js';
import type { OperationId } from '../../contracts/ids.js';
import { functions, type RequestType } from '../../contracts/steps.js';
import type { NewOperation } from '../../stores/clusters/index.js';

/** The input of the first step of a function that a request starts. */
export interface RequestInput {
  readonly operationId: OperationId;
  readonly workflowId: string;
  /** As the caller wrote it, not yet validated. */
  readonly request: unknown;
}

/**
 * The operation that a request asks for, validated.
 * @param validate validates the request and returns the id of its cluster, '' without one.
 * @throws ManagerError `capability_disabled` when the settings do not enable this function; `invalid_request`.
 */
export function newOperation(
  kind: RequestType,
  { capabilities }: { readonly capabilities: readonly string[] },
  { operationId, workflowId, request }: RequestInput,
  validate: () => string,
): NewOperation {
  requireEnabled(capabilities, functions.find(({ requestType }) => requestType === kind)?.capability ?? '');
  requireOperationId(operationId);
  return { id: operationId, kind, clusterId: validate(), workflowId, request, requestedBy: byTemporal };
}

/** The requester of an operation that did not come in by the HTTP API. */
export const byTemporal = 'temporal';

/** Any Temporal client may name its operation, so the id is validated here as well. @throws ManagerError `invalid_request`. */
function requireOperationId(operationId: string): void {
  const id = identifier.safeParse(operationId);
  if (id.success) return;
  const problems = problemsOf(id.error).map((problem) => ({ ...problem, path: 'requestId' }));
  throw new ManagerError(
    'invalid_request',
    `requestId "${String(operationId).slice(0, 140)}" (given, or taken from the workflow id) ${problems[0]?.message ?? 'is not valid'}`,
    { problems },
  );
}
