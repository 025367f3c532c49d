import { ManagerError } from '../contracts/errors.js';
import { acceptOperation, type NewOperation, type OperationRow, type Principal } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';
import { requesterOf } from './requester.js';
import { resumeOperation } from './resume.js';
import { hasEnded } from './wait.js';

/**
 * Writes the operation's row, then starts its workflow. The row comes first, so that an accepted operation is never
 * lost; a second request with the same id joins the first.
 * @throws ManagerError `idempotency_conflict`; `service_unavailable` when the row is stored but Temporal is away.
 */
export async function submitOperation(
  deps: OperationsDeps,
  principal: Principal,
  request: Omit<NewOperation, 'requestedBy'>,
): Promise<OperationRow> {
  const requestedBy = requesterOf(principal);
  const { operation, created } = await acceptOperation(deps.clusters, { ...request, requestedBy });
  if (principal.agentId !== null && operation.requestedBy !== requestedBy) {
    throw new ManagerError(
      'idempotency_conflict',
      `"${request.id}" is the id of another caller's request; use a new id`,
    );
  }
  if (created && operation.kind === 'FORMATION') deps.metrics.formations.inc({ outcome: 'accepted' });
  if (!hasEnded(operation)) await resumeOperation(deps, operation);
  return operation;
}
