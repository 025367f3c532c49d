import { ManagerError } from '../../contracts/errors.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import { keepOrElectCoordinator } from '../../domain/formation/coordinator.js';
import type { MembershipRow } from '../../stores/clusters/index.js';
import { routeAndDeliver, type RoutingTable } from '../../stores/communication/index.js';
import type { FormationDeps } from '../deps.js';
import type { FormationPlan } from '../formation/plan.js';

/** The members of a cluster from an epoch on. */
interface Membership extends RoutingTable {
  readonly name: string;
  readonly coordinator: string | null;
}

/**
 * Publishes a cluster's routing table for an epoch and informs agents of it: `cluster.joined` those that join,
 * `cluster.changed` the others. Idempotent, since the messages' ids derive from the epoch.
 * @throws ManagerError `state_conflict` when another table was published for that epoch; `operation_ended` when the
 * cluster is closed to routing.
 */
export async function announceMembership(
  { communication, messaging, settings }: FormationDeps,
  membership: Membership,
  to: { readonly joined?: readonly string[]; readonly changed: readonly string[] },
): Promise<void> {
  const { clusterId, epoch, members } = membership;
  const { joined = [], changed } = to;
  const data = { ...membership, fencingToken: epoch };
  const announcement = (type: string, recipients: readonly string[]) => ({
    message: { id: `msg_${clusterId}_e${epoch}_${type}`, source: settings.id, type, clusterId, epoch, data },
    recipients,
  });
  const announcements = [
    announcement(managerMessageTypes.joined, joined),
    announcement(managerMessageTypes.changed, changed),
  ].filter(({ recipients }) => recipients.length > 0);
  await routeAndDeliver(communication, { clusterId, epoch, members }, announcements);
  messaging.notify([...joined, ...changed]);
}

export interface MembersOfEpoch {
  readonly operationId: string;
  readonly plan: Pick<FormationPlan, 'clusterId' | 'spec'>;
  readonly epoch: number;
  readonly members: readonly MembershipRow[];
  readonly joining: readonly string[];
  /** The agents to inform besides those that join. */
  readonly informed: readonly string[];
  /** The present coordinator, which keeps the role if it stays a member. */
  readonly previous: string | null;
}

/** Announces the membership of the next epoch. @returns its coordinator. @throws ManagerError `reservation_lost` without members. */
export async function announceEpoch(
  deps: FormationDeps,
  { operationId, plan, epoch, members: rows, joining, informed, previous }: MembersOfEpoch,
): Promise<string> {
  const { clusterId, spec } = plan;
  const candidates = rows.map(({ agentId, chosenLoad }) => ({ agentId, load: chosenLoad }));
  const coordinator = keepOrElectCoordinator(previous, candidates, operationId);
  if (!coordinator) {
    throw new ManagerError(
      'reservation_lost',
      `Cluster ${clusterId} has no member left; its reservations were released`,
    );
  }
  const members = rows.map(({ agentId, roles }) => ({ agentId, roles }));
  await announceMembership(
    deps,
    { clusterId, name: spec.name, epoch, coordinator, members },
    { joined: joining, changed: informed },
  );
  return coordinator;
}
