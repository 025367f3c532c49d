import type { ClusterId, OperationId } from '../../contracts/ids.js';
import type { OperationError, OperationState } from '../../contracts/operations.js';
import { endOperation, findOperation, type ClustersDb } from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';

export interface SettleOperationInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId | '';
  readonly state: Extract<OperationState, 'completed' | 'compensated' | 'refused' | 'cancelled'>;
  readonly error?: OperationError;
}

/** Writes the final state of an operation that did not end in its fourth step, with its event. */
export async function settleOperation(
  { clusters }: { readonly clusters: ClustersDb },
  { operationId, clusterId, state, error }: SettleOperationInput,
): Promise<void> {
  const kind = (await findOperation(clusters, operationId))?.kind.toLowerCase() ?? 'operation';
  await endOperation(clusters, operationId, {
    state,
    event: state === 'completed' ? 'cluster.dissolved' : `${kind}.${state}`,
    ...(state === 'completed' ? { result: { clusterId } } : {}),
    ...(error ? { error } : {}),
  });
  failpoint('settleOperation:after-commit');
}
