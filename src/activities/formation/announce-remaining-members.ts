import { ManagerError } from '../../contracts/errors.js';
import { reAddressClusterDeliveries } from '../../messaging/re-address-deliveries.js';
import { membershipsOf, type ClusterRow } from '../../stores/clusters/index.js';
import { routeAndDeliver, routingTable } from '../../stores/communication/index.js';
import type { ActivityDeps } from '../deps.js';
import { membershipMessages } from './membership-messages.js';

/** Takes the next free epoch for the members that a cluster has. @returns it, or undefined when the cluster is closed to routing. */
export async function announceRemainingMembers(
  { clusters, communication, messaging, settings }: ActivityDeps,
  { id: clusterId, spec, coordinator, epoch: present }: ClusterRow,
): Promise<number | undefined> {
  for (;;) {
    const rows = await membershipsOf(clusters, clusterId);
    const routed = await routingTable(communication, clusterId);
    const members = rows.filter((row) => row.state === 'active').map(({ agentId, roles }) => ({ agentId, roles }));
    const epoch = Math.max(present, routed?.epoch ?? 0) + 1;
    const news = { clusterId, name: spec.name, epoch, coordinator, members };
    const recipients = [...new Set([...rows, ...(routed?.members ?? [])].map((member) => member.agentId))];
    try {
      await routeAndDeliver(
        communication,
        { clusterId, epoch, members },
        membershipMessages(settings.id, news, { changed: recipients }),
      );
      messaging.notify(recipients);
      await reAddressClusterDeliveries(messaging, clusterId);
      return epoch;
    } catch (error) {
      if (!(error instanceof ManagerError)) throw error;
      if (error.code === 'operation_ended') return undefined;
      // Somebody announced that very epoch since it was looked up: the one after it is ours.
      if (error.code !== 'state_conflict') throw error;
    }
  }
}
