import type { OperationIds } from '../../contracts/ids.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import {
  endCluster,
  findOperation,
  membershipsOf,
  releaseMembers,
  releaseReservations,
  retireCluster as retire,
  undoStep,
  type OperationRow,
} from '../../stores/clusters/index.js';
import { closeRoutes, deliver, routingTable } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { closeAccount, releaseAllocation } from '../../stores/resources/index.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { FormationDeps } from '../deps.js';
import { announceRemainingMembers } from '../shared/announce-remaining-members.js';

/** Compensating a formation, and a dissolution, ends the cluster; compensating a repair leaves it active. */
const endsCluster = ({ kind }: OperationRow): boolean => kind !== 'REPAIR';

/** A formation ends only the cluster that it formed itself; a dissolution ends whatever cluster is there. */
const formedBy = ({ kind, id }: OperationRow): string | undefined => (kind === 'FORMATION' ? id : undefined);

const endStateOf = ({ kind }: OperationRow) => (kind === 'DISSOLUTION' ? 'dissolved' : 'failed');

/** Compensates initializeCluster: closes the cluster's account and takes it out of service. */
export async function retireCluster(deps: FormationDeps, { operationId, clusterId }: OperationIds): Promise<void> {
  const { clusters, resources } = deps;
  const operation = await findOperation(clusters, operationId);
  if (!operation || operation.endedAt) return;
  if (endsCluster(operation)) {
    await closeAccount(resources, clusterId);
    await releaseAllocation(resources, { clusterId });
    await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt(), (tx) =>
      retire(tx, clusterId, operation.kind === 'DISSOLUTION' ? 'dissolving' : 'failed'),
    );
    return;
  }
  await announceRemainingMembers(deps, clusterId);
  await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt());
}

/** Compensates establishConnections: closes the cluster's routes and notifies its members and invited agents. */
export async function closeConnections(
  { clusters, communication, messaging, settings }: FormationDeps,
  { operationId, clusterId }: OperationIds,
): Promise<void> {
  const operation = await findOperation(clusters, operationId);
  if (!operation || operation.endedAt) return;
  if (endsCluster(operation)) {
    // Closed before the recipients are read, so that a late attempt cannot announce to any other agent.
    await closeRoutes(communication, clusterId);
    failpoint('undo:establishConnections:routes-closed');
    const rows = await membershipsOf(clusters, clusterId);
    const announced = await routingTable(communication, clusterId);
    const invited = rows.filter((member) => announced !== undefined || member.answer !== 'none');
    const informed = [...new Set([...invited, ...(announced?.members ?? [])].map((member) => member.agentId))];
    if (informed.length > 0) {
      await deliver(
        communication,
        {
          id: `msg_${clusterId}_${managerMessageTypes.dissolved}`,
          source: settings.id,
          type: managerMessageTypes.dissolved,
          clusterId,
          epoch: null,
          data: { clusterId, reason: operation.kind === 'DISSOLUTION' ? 'dissolved' : 'formation failed' },
        },
        informed,
      );
      messaging.notify(informed);
    }
  }
  await undoStep(clusters, { operationId, step: 'establishConnections' }, thisAttempt());
}

/** Compensates defineCluster: ends the cluster's row. */
export const withdrawCluster = ({ clusters }: FormationDeps, { operationId, clusterId }: OperationIds): Promise<void> =>
  undoStep(clusters, { operationId, step: 'defineCluster' }, thisAttempt(), async (tx, operation) => {
    if (endsCluster(operation)) await endCluster(tx, clusterId, endStateOf(operation), formedBy(operation));
  });

/** Compensates identifyAgents: releases the reservations. */
export const releaseAgents = ({ clusters }: FormationDeps, { operationId, clusterId }: OperationIds): Promise<void> =>
  undoStep(clusters, { operationId, step: 'identifyAgents' }, thisAttempt(), (tx, operation) =>
    endsCluster(operation) ? releaseMembers(tx, clusterId, formedBy(operation)) : releaseReservations(tx, operationId),
  );
