import type { OperationView } from '../contracts/operations.js';
import type { OperationsDeps } from '../operations/deps.js';
import { submitOperation } from '../operations/submit.js';
import { operationViewOf } from '../operations/view.js';
import { hasEnded, waitForOperation } from '../operations/wait.js';
import type { NewOperation, Principal } from '../stores/clusters/index.js';
import { Reply } from './handlers.js';

/**
 * Submits an operation and waits for its end, up to `waitSeconds`.
 * @param options.signal aborted when the client disconnects.
 * @returns 200 when it has ended, else 202, with its address in `location`.
 */
export async function operationReply(
  deps: OperationsDeps,
  principal: Principal,
  operation: Omit<NewOperation, 'requestedBy'>,
  { waitSeconds, signal }: { readonly waitSeconds: number; readonly signal: AbortSignal },
): Promise<Reply<200 | 202, { readonly operation: OperationView }>> {
  const accepted = await submitOperation(deps, principal, operation);
  const row = await waitForOperation(deps, accepted, waitSeconds, signal);
  const body = { operation: await operationViewOf(deps, row) };
  return new Reply(hasEnded(row) ? 200 : 202, body, { location: `/v1/operations/${row.id}` });
}
