import type { DissolveClusterInput } from '../../contracts/workflow-inputs.js';
import { requestHash } from '../../contracts/request-hash.js';
import { acceptOperation, findCluster, saveStep, startDissolving } from '../../stores/clusters/index.js';
import { openDeliveries } from '../../stores/communication/index.js';
import { ManagerError } from '../../contracts/errors.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';

/** Takes an active cluster out of service: it accepts no new messages, its members keep their deliveries. */
export const beginDissolution = ({ clusters }: ActivityDeps) =>
  asActivity(async (input: DissolveClusterInput & { readonly workflowId: string }): Promise<void> => {
    const { operationId, clusterId, drainSeconds, workflowId } = input;
    if (!(await findCluster(clusters, clusterId))) {
      throw new ManagerError('invalid_request', `Cluster "${clusterId}" does not exist`);
    }
    const request = { clusterId, drainSeconds };
    await acceptOperation(clusters, {
      id: operationId,
      kind: 'DISSOLUTION',
      clusterId,
      workflowId,
      request,
      requestHash: requestHash('DISSOLUTION', request),
      requestedBy: 'temporal',
    });
    await saveStep(clusters, { operationId, step: 'beginDissolution', round: 0 }, thisAttempt(), async (tx) => {
      await startDissolving(tx, clusterId);
      return null;
    });
  });

/** Counts the cluster's deliveries that are not acked yet. */
export const countOpenDeliveries = ({ communication }: ActivityDeps) =>
  asActivity(({ clusterId }: { readonly clusterId: string }): Promise<number> =>
    openDeliveries(communication, clusterId),
  );
