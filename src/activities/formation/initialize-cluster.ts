import { ManagerError } from '../../contracts/errors.js';
import type { FormationResult } from '../../contracts/formation.js';
import type { OperationIds } from '../../contracts/ids.js';
import { keepOrElectCoordinator } from '../../domain/formation/coordinator.js';
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
import { announceMembership } from '../shared/announce-membership.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import type { EstablishedConnections } from './establish-connections.js';
import type { FormationPlan } from './plan.js';

/**
 * Step 4 of form_cluster: routing table and member list in communication_db, account in resources_db, then, as the
 * commit point of the whole formation, the next membership epoch and state `active` in clusters_db together with the
 * operation's result. What it decides comes from saved rows only, so every attempt writes the same.
 * @throws `ReservationLost`, `StateConflict`, `OperationEnded`.
 */
export async function initializeCluster(
  deps: ActivityDeps,
  { operationId, clusterId }: OperationIds,
): Promise<FormationResult> {
  const { clusters } = deps;
  const key = { operationId, step: 'initializeCluster', round: 0 };
  const {
    done,
    plan,
    connections,
    members: rows,
  } = await connectedSoFar<FormationPlan, EstablishedConnections, FormationResult>(clusters, {
    operationId,
    clusterId,
  });
  if (done) return done;
  const launch = await decide(deps, plan, { connected: connections.members, rows }, operationId);
  failpoint('initializeCluster:before-announcement');
  await announce(deps, plan, launch);
  // Only with the new epoch's routing table is it known which deliveries are orphaned.
  if (plan.leaving.length > 0) await reAddressClusterDeliveries(deps.messaging, clusterId);
  const result: FormationResult = {
    clusterId,
    epoch: launch.epoch,
    coordinator: launch.coordinator,
    members: launch.members.map(({ agentId, roles }) => ({ agentId, roles: [...roles] })),
    alternates: plan.alternates.filter((id) => !launch.joining.includes(id)),
    rejected: plan.rejected,
  };
  return saveStep(clusters, key, thisAttempt(), async (tx, { operation }) => {
    await activateCluster(tx, { ...launch, clusterId, operationId, leaving: plan.leaving });
    const event = operation.kind === 'REPAIR' ? 'cluster.repaired' : 'cluster.formed';
    await endOperation(tx, operationId, { state: 'completed', event, result });
    return result;
  });
}

interface Launch {
  readonly epoch: number;
  readonly coordinator: string;
  readonly members: readonly { readonly agentId: string; readonly roles: readonly string[] }[];
  readonly joining: readonly string[];
}

async function decide(
  { clusters }: ActivityDeps,
  plan: FormationPlan,
  { connected, rows }: { readonly connected: readonly string[]; readonly rows: readonly MembershipRow[] },
  operationId: string,
): Promise<Launch> {
  const members = rows.filter((member) => member.operationId === operationId || plan.staying.includes(member.agentId));
  const lost = connected.filter((id) => !members.some((member) => member.agentId === id));
  // The remaining members may be too few or lack a capability: a cluster must never start below its request.
  if (lost.length > 0) {
    throw new ManagerError(
      'reservation_lost',
      `${lost.length} of ${connected.length} members of ${plan.clusterId} are reserved no longer (${lost.join(', ')}); ` +
        'raise deadlineSeconds or ask again',
    );
  }
  const previous = plan.staying.length > 0 ? (await findCluster(clusters, plan.clusterId))?.coordinator : null;
  const candidates = members.map(({ agentId, chosenLoad }) => ({ agentId, load: chosenLoad }));
  const coordinator = keepOrElectCoordinator(previous ?? null, candidates, operationId);
  if (!coordinator) {
    throw new ManagerError(
      'reservation_lost',
      `Cluster ${plan.clusterId} has no member left; its reservations were released`,
    );
  }
  return {
    epoch: plan.epoch + 1,
    coordinator,
    members: members.map(({ agentId, roles }) => ({ agentId, roles })),
    joining: members.filter((member) => member.operationId === operationId).map((member) => member.agentId),
  };
}

async function announce(deps: ActivityDeps, plan: FormationPlan, launch: Launch): Promise<void> {
  const { clusterId, spec, staying } = plan;
  const { epoch, coordinator, members, joining } = launch;
  await Promise.all([
    openAccount(deps.resources, { clusterId, weight: spec.weight, perMember: spec.resources }),
    announceMembership(
      deps,
      { clusterId, name: spec.name, epoch, coordinator, members },
      { joined: joining, changed: staying },
    ),
  ]);
}
