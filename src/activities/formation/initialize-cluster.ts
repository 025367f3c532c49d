import { ManagerError } from '../../contracts/errors.js';
import type { FormationResult } from '../../contracts/formation.js';
import type { OperationIds } from '../../contracts/ids.js';
import {
  activateCluster,
  connectedSoFar,
  endOperation,
  findCluster,
  saveStep,
  type MembershipRow,
} from '../../stores/clusters/index.js';
import { reAddressClusterDeliveries } from '../../messaging/re-address-deliveries.js';
import { failpoint } from '../../stores/failpoint.js';
import { openAccount } from '../../stores/resources/index.js';
import { announceEpoch } from '../shared/announce-membership.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { FormationDeps } from '../deps.js';
import type { Connections } from './connect-members.js';
import type { FormationPlan } from './plan.js';

/**
 * Step 4 of form_cluster: routing table and member list in communication_db, account in resources_db, then, as the
 * commit point of the whole formation, the next membership epoch and state `active` in clusters_db together with the
 * operation's result. What it decides comes from saved rows only, so every attempt writes the same.
 * @throws `ReservationLost`, `StateConflict`, `OperationEnded`.
 */
export async function initializeCluster(
  deps: FormationDeps,
  { operationId, clusterId }: OperationIds,
): Promise<FormationResult> {
  const { clusters, resources } = deps;
  const ids = { operationId, clusterId };
  const found = await connectedSoFar<FormationPlan, Connections, FormationResult>(clusters, ids);
  if (found.done) return found.done;
  const { plan, connections } = found;
  const { spec, staying, leaving } = plan;
  const members = found.members.filter(
    (member) => member.operationId === operationId || staying.includes(member.agentId),
  );
  requireMembers(clusterId, connections.members, members);
  const previous = staying.length > 0 ? ((await findCluster(clusters, clusterId))?.coordinator ?? null) : null;
  const joining = members.filter((member) => member.operationId === operationId).map(({ agentId }) => agentId);
  const epoch = plan.epoch + 1;
  failpoint('initializeCluster:before-announcement');
  const [coordinator] = await Promise.all([
    announceEpoch(deps, { operationId, plan, epoch, members, joining, informed: staying, previous }),
    openAccount(resources, { clusterId, weight: spec.weight, perMember: spec.resources }),
  ]);
  // Only with the new epoch's routing table is it known which deliveries are orphaned.
  if (leaving.length > 0) await reAddressClusterDeliveries(deps.messaging, clusterId);
  const result: FormationResult = {
    clusterId,
    epoch,
    coordinator,
    members: members.map(({ agentId, roles }) => ({ agentId, roles: [...roles] })),
    alternates: plan.alternates.filter((id) => !joining.includes(id)),
    rejected: plan.rejected,
  };
  const key = { operationId, step: 'initializeCluster', round: 0 };
  return saveStep(clusters, key, thisAttempt(), async (tx, { operation }) => {
    await activateCluster(tx, { ...ids, epoch, coordinator, joining, leaving });
    const event = operation.kind === 'REPAIR' ? 'cluster.repaired' : 'cluster.formed';
    await endOperation(tx, operationId, { state: 'completed', event, result });
    return result;
  });
}

/** The remaining members may be too few or lack a capability: a cluster must never start below its request. */
function requireMembers(clusterId: string, connected: readonly string[], members: readonly MembershipRow[]): void {
  const lost = connected.filter((id) => !members.some((member) => member.agentId === id));
  if (lost.length === 0) return;
  throw new ManagerError(
    'reservation_lost',
    `${lost.length} of ${connected.length} members of ${clusterId} are reserved no longer (${lost.join(', ')}); ` +
      'raise deadlineSeconds or ask again',
  );
}
