import { ManagerError } from '../../contracts/errors.js';
import type { DissolveClusterInput } from '../../contracts/workflow-inputs.js';
import { acceptOperation, findCluster, saveStep, startDissolving } from '../../stores/clusters/index.js';
import { openDeliveries } from '../../stores/communication/index.js';
import type { FormationDeps } from '../deps.js';
import { thisAttempt } from '../shared/as-activity.js';
import { byTemporal } from '../shared/preconditions.js';

/** Takes an active cluster out of service: it accepts no new messages, its members may still ack theirs. */
export async function beginDissolution(
  { clusters }: FormationDeps,
  input: DissolveClusterInput & { readonly workflowId: string },
): Promise<void> {
  const { operationId, clusterId, drainSeconds, workflowId } = input;
  if (!(await findCluster(clusters, clusterId))) {
    throw new ManagerError('invalid_request', `There is no cluster "${clusterId}" to dissolve`);
  }
  const operation = { id: operationId, kind: 'DISSOLUTION', clusterId, workflowId, requestedBy: byTemporal } as const;
  await acceptOperation(clusters, { ...operation, request: { clusterId, drainSeconds } });
  await saveStep(clusters, { operationId, step: 'beginDissolution', round: 0 }, thisAttempt(), async (tx) => {
    await startDissolving(tx, clusterId);
    return null;
  });
}

/** @returns the deliveries of a cluster's messages that are not acked yet. */
export const countOpenDeliveries = (
  { communication }: FormationDeps,
  { clusterId }: { readonly clusterId: string },
): Promise<number> => openDeliveries(communication, { clusterId });
