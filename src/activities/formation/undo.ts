import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import {
  endCluster,
  findCluster,
  findOperation,
  membershipsOf,
  passEpoch,
  releaseMembers,
  releaseReservations,
  retireCluster as retire,
  undoStep,
  type OperationRow,
} from '../../stores/clusters/index.js';
import { closeRoutes, deliver, routeAndDeliver, routingTable } from '../../stores/communication/index.js';
import { closeAccount } from '../../stores/resources/index.js';
import { asActivity, thisAttempt } from '../as-activity.js';
import type { ActivityDeps } from '../deps.js';

export interface UndoInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
}

/** A repair gives back what it took and leaves the cluster; a formation or dissolution takes the cluster down. */
const takesDown = ({ kind }: OperationRow): boolean => kind !== 'REPAIR';

const endStateOf = ({ kind }: OperationRow) => (kind === 'DISSOLUTION' ? 'dissolved' : 'failed');

/** Undoes initializeCluster: the account closes, the cluster leaves service. */
export const retireCluster = ({ clusters, communication, resources, settings }: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId }: UndoInput): Promise<void> => {
    const operation = await findOperation(clusters, operationId);
    if (!operation || operation.endedAt) return;
    if (takesDown(operation)) {
      await closeAccount(resources, clusterId);
      await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt(), (tx) =>
        retire(tx, clusterId, operation.kind === 'DISSOLUTION' ? 'dissolving' : 'failed'),
      );
      return;
    }
    // Members may have been told of an epoch that never was: the next one tells them who really is a member.
    const cluster = await findCluster(clusters, clusterId);
    const routed = await routingTable(communication, clusterId);
    if (cluster?.state === 'active' && routed && routed.epoch > cluster.epoch) {
      const rows = await membershipsOf(clusters, clusterId);
      const members = rows
        .filter((member) => member.state === 'active')
        .map(({ agentId, roles }) => ({ agentId, roles }));
      const epoch = routed.epoch + 1;
      const { name } = cluster.spec;
      const message = {
        id: `msg_${clusterId}_e${epoch}_${managerMessageTypes.changed}`,
        source: settings.id,
        type: managerMessageTypes.changed,
        clusterId,
        epoch,
        data: { clusterId, name, epoch, coordinator: cluster.coordinator, fencingToken: epoch, members },
      };
      const recipients = rows.map((member) => member.agentId);
      await routeAndDeliver(communication, { clusterId, epoch, members }, [{ message, recipients }]);
      await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt(), (tx) =>
        passEpoch(tx, clusterId, { from: cluster.epoch, to: epoch }),
      );
      return;
    }
    await undoStep(clusters, { operationId, step: 'initializeCluster' }, thisAttempt(), async () => undefined);
  });

/** Undoes establishConnections: members and invited agents are told, and nothing is routed to the cluster any more. */
export const closeConnections = ({ clusters, communication, settings }: ActivityDeps) =>
  asActivity(async ({ operationId, clusterId }: UndoInput): Promise<void> => {
    const operation = await findOperation(clusters, operationId);
    if (!operation || operation.endedAt) return;
    if (takesDown(operation)) {
      const rows = await membershipsOf(clusters, clusterId);
      const wasAnnounced = (await routingTable(communication, clusterId)) !== undefined;
      const told = rows.filter((member) => wasAnnounced || member.answer !== 'none').map((member) => member.agentId);
      await closeRoutes(communication, clusterId);
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
      }
    }
    await undoStep(clusters, { operationId, step: 'establishConnections' }, thisAttempt(), async () => undefined);
  });

/** Undoes defineCluster: the cluster's row says that it ended. */
export const withdrawCluster = ({ clusters }: ActivityDeps) =>
  asActivity(({ operationId, clusterId }: UndoInput): Promise<void> =>
    undoStep(clusters, { operationId, step: 'defineCluster' }, thisAttempt(), async (tx, operation) => {
      if (takesDown(operation)) await endCluster(tx, clusterId, endStateOf(operation));
    }),
  );

/** Undoes identifyAgents: nobody stays reserved. */
export const releaseAgents = ({ clusters }: ActivityDeps) =>
  asActivity(({ operationId, clusterId }: UndoInput): Promise<void> =>
    undoStep(clusters, { operationId, step: 'identifyAgents' }, thisAttempt(), (tx, operation) =>
      takesDown(operation) ? releaseMembers(tx, clusterId) : releaseReservations(tx, operationId),
    ),
  );
