import type { ClusterId, OperationId } from '../../contracts/ids.js';
import type { OperationError, OperationState } from '../../contracts/operations.js';
import { appendEvent, endOperation, findOperation, inTransaction } from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity } from '../as-activity.js';
import type { ActivityDeps } from '../deps.js';

export interface SettleOperationInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly state: Extract<OperationState, 'completed' | 'compensated' | 'refused' | 'cancelled'>;
  readonly error?: OperationError;
}

/** The last word on an operation that did not end in its fourth step, with its event. */
export const settleOperation = ({ clusters }: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId, state, error }: SettleOperationInput): Promise<void> => {
    await inTransaction(clusters, async (tx) => {
      const operation = await findOperation(tx, operationId);
      const ended = await endOperation(tx, operationId, {
        state,
        ...(state === 'completed' ? { result: { clusterId } } : {}),
        ...(error ? { error } : {}),
      });
      if (!ended || !operation) return;
      const type = state === 'completed' ? 'cluster.dissolved' : `${operation.kind.toLowerCase()}.${state}`;
      const data = error ?? { clusterId };
      await appendEvent(tx, { id: `${operationId}:${type}`, type, subject: clusterId, operationId, data });
    });
    failpoint('settleOperation:after-commit');
  });
