import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import { electCoordinator } from '../../domain/formation/coordinator.js';
import { planLinks } from '../../domain/formation/links.js';
import type { Change } from '../../domain/scaling/types.js';
import { reAddressClusterDeliveries } from '../../messaging/re-address-deliveries.js';
import {
  activateCluster,
  clusterWithMembers,
  findOperation,
  leavingSince,
  recordInvitations,
  releaseLeaving,
  saveLinks,
  saveStep,
  startLeaving,
  stepsOf,
  unfinished,
  type ClustersDb,
  type MembershipRow,
} from '../../stores/clusters/index.js';
import { openDeliveriesOf, routeAndDeliver } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { openInboxes, sendInvitations } from '../formation/invite.js';
import { evaluateInvitations } from '../formation/evaluate-invitations.js';
import { membershipMessages } from '../formation/membership-messages.js';
import type { FormationPlan } from '../formation/plan.js';
import type { AllocatedResources, WantedChange } from './allocate-resources.js';
import { recordCommittedChange, type CommittedChange } from './record-change.js';

export interface AdjustClusterInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly round: number;
  /** `none`: nobody joins or leaves. */
  readonly direction: WantedChange['direction'];
  readonly cause: Change['cause'];
  /** The cluster's epoch when it was assessed. */
  readonly epoch: number;
  /** Of the members that join or leave, how many count against the flap budget. */
  readonly charged: number;
}

export interface AdjustedCluster {
  /** Null when the change is done; else how long to wait before calling again. */
  readonly waitSeconds: number | null;
  readonly doing: string;
  readonly joined: readonly string[];
  readonly left: readonly string[];
  readonly epoch: number;
}

/**
 * Step 3 of scale_cluster: make before break. Who joins is invited, connected, and a member at the next epoch; who leaves
 * is routed to no more at the one after that, keeps its agent while it acks what it has, and is released then. Called
 * again until done; how long a drain has lasted stands with the membership, so no call and no worker owns it.
 * @throws `StateConflict` when the cluster changed since the plan was made, `InvitationsDeclined`, `ReservationLost`.
 */
export const adjustCluster = (deps: ActivityDeps) =>
  asActivity(async (input: AdjustClusterInput): Promise<AdjustedCluster> => {
    const { operationId, round } = input;
    const { clusters } = deps;
    if (input.direction === 'none') return nothing(input.epoch);
    const steps = (await stepsOf(clusters, operationId)).filter((step) => step.round === round);
    const saved = <Result>(step: string) => steps.find((one) => one.step === step)?.result as Result | undefined;
    const done = saved<AdjustedCluster>('adjustCluster');
    if (done) return done;
    const plan = saved<AllocatedResources>('allocateResources')?.plan;
    if (!plan) throw new Error(`Round ${round} of ${operationId} has no plan yet`);
    const joined = await join(deps, input, { plan, before: saved('adjustCluster:join') });
    if (joined.waitSeconds !== null) return joined;
    // Joining is one transaction; where nobody leaves, that is the whole change.
    if (joined.joined.length > 0 && plan.leaving.length === 0) {
      await recordCommittedChange(deps, input, { ...input, ...joined });
      failpoint('adjustCluster:noted');
      return joined;
    }
    const gone = await leave(deps, input, { plan, before: saved('adjustCluster:leave') });
    if (gone.waitSeconds !== null) return gone;
    const result = { ...gone, joined: joined.joined, epoch: gone.epoch };
    await recordCommittedChange(deps, input, { ...input, ...result });
    const key = { operationId, step: 'adjustCluster', round };
    return saveStep(clusters, key, thisAttempt(), async (tx) => {
      await releaseLeaving(tx, operationId);
      return result;
    });
  });

const nothing = (epoch: number): AdjustedCluster => ({ waitSeconds: null, doing: '', joined: [], left: [], epoch });

/** A plan, and what an earlier call committed of this part of it. */
interface Part {
  readonly plan: FormationPlan;
  readonly before: CommittedChange | undefined;
}

/** Connects who was reserved, and makes them members at the next epoch. */
async function join(deps: ActivityDeps, input: AdjustClusterInput, { plan, before }: Part): Promise<AdjustedCluster> {
  if (plan.joining.length === 0) return nothing(plan.epoch);
  if (before) return { ...nothing(before.epoch), joined: before.joined };
  const { clusters, settings } = deps;
  const { operationId, clusterId, round, cause, charged } = input;
  await openInboxes(deps, plan);
  const connected = await saveStep<{ readonly waitSeconds: number | null; readonly ids: readonly string[] }>(
    clusters,
    { operationId, step: 'adjustCluster:connect', round },
    thisAttempt(),
    async (tx, { members }) => {
      // Members that another change is about to take out are neither kept nor asked.
      const present = members.filter((member) => belongs(member, plan, operationId));
      const judgement = await evaluateInvitations(tx, { plan, operationId, settings }, present);
      if (judgement.state === 'waiting') {
        await recordInvitations(tx, judgement.toInvite);
        return [unfinished, { waitSeconds: judgement.waitSeconds, ids: judgement.asked }];
      }
      await saveLinks(tx, clusterId, planLinks(judgement.members));
      return { waitSeconds: null, ids: judgement.members };
    },
    { members: true },
  );
  if (connected.waitSeconds !== null) {
    await sendInvitations(deps, plan, operationId);
    return {
      ...nothing(plan.epoch),
      waitSeconds: connected.waitSeconds,
      doing: `waiting for ${connected.ids.join(', ')} to answer`,
    };
  }
  const epoch = plan.epoch + 1;
  const { coordinator: chief, members: all } = await presentIn(clusters, clusterId);
  const members = all.filter((member) => connected.ids.includes(member.agentId));
  const joined = members.filter(({ state }) => state === 'reserved').map(({ agentId }) => agentId);
  failpoint('adjustCluster:before-joining');
  const coordinator = await announce(deps, plan, { epoch, members, joined, told: [], chief }, operationId);
  const key = { operationId, step: 'adjustCluster:join', round };
  const saved = await saveStep<CommittedChange>(clusters, key, thisAttempt(), async (tx) => {
    await activateCluster(tx, {
      clusterId,
      operationId,
      epoch,
      coordinator,
      joining: joined,
      leaving: [],
      desired: members.length,
    });
    return { joined, left: [], epoch, cause, charged };
  });
  return { ...nothing(epoch), joined: saved.joined };
}

async function presentIn(clusters: ClustersDb, clusterId: string) {
  const found = await clusterWithMembers(clusters, clusterId);
  if (!found) throw new Error(`Cluster ${clusterId} is gone`);
  return { coordinator: found.cluster.coordinator, members: found.members };
}

const belongs = ({ agentId, operationId }: MembershipRow, { staying, leaving }: FormationPlan, own: string): boolean =>
  operationId === own || staying.includes(agentId) || leaving.includes(agentId);

/** Takes the victims out of the routing table, then waits until they have acked what they hold, or their time is over. */
async function leave(deps: ActivityDeps, input: AdjustClusterInput, { plan, before }: Part): Promise<AdjustedCluster> {
  const epoch = plan.epoch + (plan.joining.length > 0 ? 1 : 0);
  if (plan.leaving.length === 0) return nothing(epoch);
  const { clusters, communication } = deps;
  const { operationId, clusterId, round, cause, charged } = input;
  const left = [...plan.leaving];
  if (!before) {
    const { coordinator: chief, members: all } = await presentIn(clusters, clusterId);
    const members = all.filter(({ state, agentId }) => state === 'active' && !left.includes(agentId));
    failpoint('adjustCluster:before-leaving');
    const change = { epoch: epoch + 1, members, joined: [], told: left, chief };
    const coordinator = await announce(deps, plan, change, operationId);
    const key = { operationId, step: 'adjustCluster:leave', round };
    await saveStep<CommittedChange>(clusters, key, thisAttempt(), async (tx) => {
      await startLeaving(tx, {
        clusterId,
        operationId,
        epoch: epoch + 1,
        coordinator,
        leaving: left,
        desired: members.length,
      });
      return { joined: [], left, epoch: epoch + 1, cause, charged };
    });
  }
  const drain = await leavingSince(clusters, operationId);
  const { drainSeconds } = parseScalingRequest((await findOperation(clusters, operationId))?.request);
  const secondsLeft = drain ? drainSeconds - drain.seconds : 0;
  const open = drain && secondsLeft > 0 ? await openDeliveriesOf(communication, clusterId, drain.agentIds) : 0;
  if (open > 0) {
    return {
      ...nothing(epoch + 1),
      waitSeconds: Math.min(1, secondsLeft),
      doing: `draining ${left.join(', ')}: ${open} deliveries are not acked yet, ${Math.ceil(secondsLeft)} s are left`,
    };
  }
  failpoint('adjustCluster:drained');
  await reAddressClusterDeliveries(deps.messaging, clusterId);
  return { ...nothing(epoch + 1), left };
}

/** Routing table and member list of an epoch, told to all it concerns. @returns the coordinator. */
async function announce(
  { communication, messaging, settings }: ActivityDeps,
  { clusterId, spec }: FormationPlan,
  {
    epoch,
    members,
    joined,
    told,
    chief,
  }: {
    readonly epoch: number;
    readonly members: readonly MembershipRow[];
    readonly joined: readonly string[];
    /** Who is told besides the members. */
    readonly told: readonly string[];
    /** The coordinator until now, who goes on if it stays. */
    readonly chief: string | null;
  },
  operationId: string,
): Promise<string> {
  const coordinator =
    chief && members.some(({ agentId }) => agentId === chief)
      ? chief
      : electCoordinator(
          members.map(({ agentId, chosenLoad }) => ({ agentId, load: chosenLoad })),
          operationId,
        );
  if (!coordinator) throw new Error(`Cluster ${clusterId} would have no member left`);
  const listed = members.map(({ agentId, roles }) => ({ agentId, roles }));
  const changed = [...listed.map(({ agentId }) => agentId).filter((id) => !joined.includes(id)), ...told];
  const news = { clusterId, name: spec.name, epoch, coordinator, members: listed };
  await routeAndDeliver(
    communication,
    { clusterId, epoch, members: listed },
    membershipMessages(settings.id, news, { joined, changed }),
  );
  messaging.notify([...joined, ...changed]);
  return coordinator;
}
