import {
  parseCommunicationRequest,
  type CommunicationResult,
  type CommunicationSpec,
} from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationId } from '../../contracts/ids.js';
import { reAddressClusterDeliveries } from '../../messaging/re-address-deliveries.js';
import { endOperation, findCluster, membershipsOf, requireStepResult } from '../../stores/clusters/index.js';
import { routeAndDeliver, routingTable } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import type { CommunicationDeps } from '../deps.js';
import { runStep } from '../shared/run-step.js';
import type { HandledBroadcasts } from './handle-broadcasts.js';
import { senderOf } from './request.js';

type RoutingOutcome = CommunicationResult['routing'][number];
type Change = CommunicationSpec['routing'][number];

/**
 * Step 4 of manage_communication: brings routing tables to the current membership and re-addresses deliveries of removed
 * members; then completes the operation with the results of all four steps.
 */
export async function updateRouting(
  deps: CommunicationDeps,
  { operationId }: { readonly operationId: OperationId },
): Promise<CommunicationResult> {
  const key = { operationId, step: 'updateRouting', round: 0 };
  const earlier = await requireResults(deps, operationId);
  return runStep<CommunicationResult>(
    deps.clusters,
    key,
    async ({ operation: { requestedBy, request } }) => {
      const { agentId } = senderOf(requestedBy);
      const routing: RoutingOutcome[] = [];
      for (const change of parseCommunicationRequest(request).routing) {
        routing.push(agentId === null ? await refresh(deps, change) : refused(change, operatorsOnly));
      }
      return { ...earlier, routing };
    },
    {
      onSave: (tx, result) =>
        endOperation(tx, operationId, { state: 'completed', event: 'communication.completed', result }),
    },
  );
}

const operatorsOnly = new ManagerError('forbidden', 'Only orchestrators and admins update routing tables');

async function requireResults({ clusters }: CommunicationDeps, operationId: OperationId) {
  const [messages, handled, topics] = await Promise.all([
    requireStepResult<CommunicationResult['messages']>(clusters, { operationId, step: 'routeMessages' }),
    requireStepResult<HandledBroadcasts>(clusters, { operationId, step: 'handleBroadcasts' }),
    requireStepResult<CommunicationResult['topics']>(clusters, { operationId, step: 'manageTopics' }),
  ]);
  return { messages, broadcasts: handled.broadcasts, topics };
}

/** Publishes the routing table of a cluster's current epoch if needed, and re-addresses deliveries of removed members. */
async function refresh(deps: CommunicationDeps, change: Change): Promise<RoutingOutcome> {
  const { clusters, communication } = deps;
  const { clusterId, expectedEpoch } = change;
  try {
    const [cluster, members, table] = await Promise.all([
      findCluster(clusters, clusterId),
      membershipsOf(clusters, clusterId),
      routingTable(communication, clusterId),
    ]);
    if (cluster?.state !== 'active') {
      throw new ManagerError(
        'not_found',
        `Cluster "${clusterId}" is ${cluster?.state ?? 'unknown'}; only an active cluster has routes`,
      );
    }
    const routedEpoch = table?.epoch ?? 0;
    if (expectedEpoch !== undefined && expectedEpoch !== routedEpoch) {
      throw new ManagerError(
        'state_conflict',
        `The routing table of "${clusterId}" is at epoch ${routedEpoch}, not ${expectedEpoch}; read the cluster again`,
      );
    }
    const isBehind = routedEpoch < cluster.epoch;
    if (isBehind) {
      const active = members
        .filter(({ state }) => state === 'active')
        .map(({ agentId, roles }) => ({ agentId, roles }));
      await routeAndDeliver(communication, { clusterId, epoch: cluster.epoch, members: active }, []);
    }
    failpoint('updateRouting:published');
    const { moved, deadLettered } = await reAddressClusterDeliveries(deps.messaging, clusterId);
    return {
      clusterId,
      epoch: Math.max(routedEpoch, cluster.epoch),
      outcome: isBehind ? 'published' : 'unchanged',
      reAddressed: moved,
      deadLettered,
    };
  } catch (error) {
    if (error instanceof ManagerError) return refused(change, error);
    throw error;
  }
}

const refused = ({ clusterId }: Change, { code, message }: ManagerError): RoutingOutcome => ({
  clusterId,
  epoch: null,
  outcome: 'refused',
  reAddressed: 0,
  deadLettered: 0,
  error: { code, detail: message },
});
