import { routeAndDeliver } from '../../stores/communication/index.js';
import type { ActivityDeps } from '../deps.js';
import { membershipMessages, type MembershipChange } from './membership-messages.js';

/**
 * Publishes a cluster's routing table for an epoch and tells its members: `cluster.joined` to those that join,
 * `cluster.changed` to the others. Idempotent for an epoch.
 * @throws ManagerError `state_conflict` when another table was published for that epoch; `operation_ended` when the
 * cluster is closed to routing.
 */
export async function announceMembership(
  { communication, messaging, settings }: ActivityDeps,
  change: MembershipChange,
  to: { readonly joined?: readonly string[]; readonly changed: readonly string[] },
): Promise<void> {
  const { clusterId, epoch, members } = change;
  await routeAndDeliver(communication, { clusterId, epoch, members }, membershipMessages(settings.id, change, to));
  messaging.notify([...(to.joined ?? []), ...to.changed]);
}
