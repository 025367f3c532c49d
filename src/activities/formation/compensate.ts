import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import {
  endCluster,
  findCluster,
  findOperation,
  membershipsOf,
  advanceEpoch,
  releaseMembers,
  releaseReservations,
  retireCluster as retire,
  undoStep,
  type OperationRow,
} from '../../stores/clusters/index.js';
import { closeRoutes, deliver, routingTable } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { closeAccount, releaseAllocation } from '../../stores/resources/index.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { announceRemainingMembers } from './announce-remaining-members.js';

export interface CompensationInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
}

/** A repair gives back what it took and leaves the cluster; a formation or dissolution takes the cluster down. */
const takesDown = ({ kind }: OperationRow): boolean => kind !== 'REPAIR';

/** A formation undoes what it made itself; a dissolution takes down whatever is there. */
const formerOf = ({ kind, id }: OperationRow): string | undefined => (kind === 'FORMATION' ? id : undefined);

const endStateOf = ({ kind }: OperationRow) => (kind === 'DISSOLUTION' ? 'dissolved' : 'failed');

/** Undoes initializeCluster: the account closes, the cluster leaves service. */
export const retireCluster = (deps: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId }: CompensationInput): Promise<void> => {
    const { clusters, resources } = deps;
    const operation = await findOperation(clusters, operationId);
    if (!operation || operation.endedAt) return;
    if (takesDown(operation)) {
      await closeAccount(resources, clusterId);
      await releaseAllocation(resources, { clusterId });
      await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt(), (tx) =>
        retire(tx, clusterId, operation.kind === 'DISSOLUTION' ? 'dissolving' : 'failed'),
      );
      return;
    }
    // Members may have been told of an epoch that never was: the next one tells them who really is a member.
    // And an attempt that is still on its way finds its epoch taken, so it can announce nothing any more.
    const cluster = await findCluster(clusters, clusterId);
    const epoch = cluster?.state === 'active' ? await announceRemainingMembers(deps, cluster) : undefined;
    await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt(), async (tx) => {
      if (cluster && epoch) await advanceEpoch(tx, clusterId, { from: cluster.epoch, to: epoch });
    });
  });

/** Undoes establishConnections: members and invited agents are told, and nothing is routed to the cluster any more. */
export const closeConnections = ({ clusters, communication, messaging, settings }: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId }: CompensationInput): Promise<void> => {
    const operation = await findOperation(clusters, operationId);
    if (!operation || operation.endedAt) return;
    if (takesDown(operation)) {
      // Closed before it is looked up who was told: from here on no late attempt can tell anybody more.
      await closeRoutes(communication, clusterId);
      failpoint('undo:establishConnections:routes-closed');
      const rows = await membershipsOf(clusters, clusterId);
      const announced = await routingTable(communication, clusterId);
      const asked = rows.filter((member) => announced !== undefined || member.answer !== 'none');
      const told = [...new Set([...asked, ...(announced?.members ?? [])].map((member) => member.agentId))];
      if (told.length > 0) {
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
          told,
        );
        messaging.notify(told);
      }
    }
    await undoStep(clusters, { operationId, step: 'establishConnections' }, thisAttempt(), async () => undefined);
  });

/** Undoes defineCluster: the cluster's row says that it ended. */
export const withdrawCluster = ({ clusters }: ActivityDeps) =>
  asActivity(({ operationId, clusterId }: CompensationInput): Promise<void> =>
    undoStep(clusters, { operationId, step: 'defineCluster' }, thisAttempt(), async (tx, operation) => {
      if (takesDown(operation)) await endCluster(tx, clusterId, endStateOf(operation), formerOf(operation));
    }),
  );

/** Undoes identifyAgents: nobody stays reserved. */
export const releaseAgents = ({ clusters }: ActivityDeps) =>
  asActivity(({ operationId, clusterId }: CompensationInput): Promise<void> =>
    undoStep(clusters, { operationId, step: 'identifyAgents' }, thisAttempt(), (tx, operation) =>
      takesDown(operation) ? releaseMembers(tx, clusterId, formerOf(operation)) : releaseReservations(tx, operationId),
    ),
  );
