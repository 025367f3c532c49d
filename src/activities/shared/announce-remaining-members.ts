import { ManagerError } from '../../contracts/errors.js';
import type { ClusterId } from '../../contracts/ids.js';
import { reAddressClusterDeliveries } from '../../messaging/re-address-deliveries.js';
import {
  advanceEpoch,
  findCluster,
  inTransaction,
  membershipsOf,
  type ClusterRow,
} from '../../stores/clusters/index.js';
import { routingTable } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import type { FormationDeps } from '../deps.js';
import { announceMembership } from './announce-membership.js';

/**
 * Announces the actual members of an active cluster at the next free epoch, after a failed operation may have announced
 * an epoch that was never committed. A late attempt of that operation then finds its epoch taken and announces nothing.
 */
export async function announceRemainingMembers(deps: FormationDeps, clusterId: ClusterId): Promise<void> {
  const { clusters } = deps;
  for (;;) {
    const cluster = await findCluster(clusters, clusterId);
    const epoch = cluster?.state === 'active' ? await announceNextEpoch(deps, cluster) : undefined;
    failpoint('compensate:announced');
    if (!cluster || epoch === undefined) return;
    // Another operation may have changed the cluster since it was read: then its members are announced again.
    if (await inTransaction(clusters, (tx) => advanceEpoch(tx, clusterId, { from: cluster.epoch, to: epoch }))) return;
  }
}

/** @returns the epoch announced, or undefined when the cluster is closed to routing. */
async function announceNextEpoch(
  deps: FormationDeps,
  { id: clusterId, spec, coordinator, epoch: present }: ClusterRow,
): Promise<number | undefined> {
  const { clusters, communication, messaging } = deps;
  for (;;) {
    const rows = await membershipsOf(clusters, clusterId);
    const routed = await routingTable(communication, clusterId);
    const members = rows.filter((row) => row.state === 'active').map(({ agentId, roles }) => ({ agentId, roles }));
    const epoch = Math.max(present, routed?.epoch ?? 0) + 1;
    const informed = [...new Set([...rows, ...(routed?.members ?? [])].map(({ agentId }) => agentId))];
    try {
      const change = { clusterId, name: spec.name, epoch, coordinator, members };
      await announceMembership(deps, change, { changed: informed });
      await reAddressClusterDeliveries(messaging, clusterId);
      return epoch;
    } catch (error) {
      if (!(error instanceof ManagerError)) throw error;
      if (error.code === 'operation_ended') return undefined;
      // Another operation announced this epoch since it was read: try the one after it.
      if (error.code !== 'state_conflict') throw error;
    }
  }
}
