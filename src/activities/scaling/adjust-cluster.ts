import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { managerMessageTypes } from '../../contracts/inbox.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import { electCoordinator } from '../../domain/formation/coordinator.js';
import { planLinks } from '../../domain/formation/links.js';
import type { Change } from '../../domain/scaling/types.js';
import { reAddressClusterMail } from '../../messaging/re-address-mail.js';
import {
  activateCluster,
  findCluster,
  findOperation,
  leavingSince,
  membershipsOf,
  noteInvited,
  releaseLeaving,
  saveLinks,
  saveStep,
  setDesiredSize,
  startLeaving,
  stepResult,
  unfinished,
  type MembershipRow,
} from '../../stores/clusters/index.js';
import { openDeliveriesOf, routeAndDeliver } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity, thisAttempt } from '../as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { openInboxes, sendInvitations } from '../formation/invite.js';
import { judgeInvitations } from '../formation/judge-invitations.js';
import type { FormationPlan } from '../formation/plan.js';
import type { AllocatedResources } from './allocate-resources.js';
import { noteChange, type CommittedChange } from './note-change.js';

export interface AdjustClusterInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly round: number;
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
    const key = { operationId, step: 'adjustCluster', round };
    const [done, allocated] = await Promise.all([
      stepResult<AdjustedCluster>(clusters, key),
      stepResult<AllocatedResources>(clusters, { ...key, step: 'allocateResources' }),
    ]);
    if (done) return done;
    if (!allocated) throw new Error(`Round ${round} of ${operationId} has no plan yet`);
    const { plan } = allocated;
    if (!plan) return saveStep(clusters, key, thisAttempt(), async () => nothing(input.epoch));
    const joining = await join(deps, input, plan);
    if (joining.waitSeconds !== null) return joining;
    const leaving = await leave(deps, input, plan);
    if (leaving.waitSeconds !== null) return leaving;
    const result = { ...leaving, joined: joining.joined, epoch: leaving.epoch };
    await noteChange(deps, input, { ...input, ...result });
    return saveStep(clusters, key, thisAttempt(), async (tx) => {
      await releaseLeaving(tx, operationId);
      return result;
    });
  });

const nothing = (epoch: number): AdjustedCluster => ({ waitSeconds: null, doing: '', joined: [], left: [], epoch });

/** Connects who was reserved, and makes them members at the next epoch. */
async function join(deps: ActivityDeps, input: AdjustClusterInput, plan: FormationPlan): Promise<AdjustedCluster> {
  if (plan.joining.length === 0) return nothing(plan.epoch);
  const { clusters, settings } = deps;
  const { operationId, clusterId, round } = input;
  await openInboxes(deps, plan);
  const connected = await saveStep<{ readonly waitSeconds: number | null; readonly ids: readonly string[] }>(
    clusters,
    { operationId, step: 'adjustCluster:connect', round },
    thisAttempt(),
    async (tx, { members }) => {
      // Members that another change is about to take out are neither kept nor asked.
      const present = members.filter((member) => belongs(member, plan, operationId));
      const judgement = await judgeInvitations(tx, { plan, operationId, settings }, present);
      if (judgement.state === 'waiting') {
        await noteInvited(tx, judgement.toInvite);
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
  const key = { operationId, step: 'adjustCluster:join', round };
  const { cause, charged } = input;
  const before = await stepResult<CommittedChange>(clusters, key);
  if (before) return { ...nothing(before.epoch), joined: before.joined };
  const epoch = plan.epoch + 1;
  const members = (await membershipsOf(clusters, clusterId)).filter((member) => connected.ids.includes(member.agentId));
  const joined = members.filter(({ state }) => state === 'reserved').map(({ agentId }) => agentId);
  failpoint('adjustCluster:before-joining');
  const coordinator = await announce(deps, plan, { epoch, members, joined, told: [] }, operationId);
  const saved = await saveStep<CommittedChange>(clusters, key, thisAttempt(), async (tx) => {
    await activateCluster(tx, { clusterId, operationId, epoch, coordinator, joining: joined, leaving: [] });
    await setDesiredSize(tx, clusterId, members.length);
    return { joined, left: [], epoch, cause, charged };
  });
  return { ...nothing(epoch), joined: saved.joined };
}

const belongs = ({ agentId, operationId }: MembershipRow, { staying, leaving }: FormationPlan, own: string): boolean =>
  operationId === own || staying.includes(agentId) || leaving.includes(agentId);

/** Takes the victims out of the routing table, then waits until they have acked what they hold, or their time is over. */
async function leave(deps: ActivityDeps, input: AdjustClusterInput, plan: FormationPlan): Promise<AdjustedCluster> {
  const epoch = plan.epoch + (plan.joining.length > 0 ? 1 : 0);
  if (plan.leaving.length === 0) return nothing(epoch);
  const { clusters, communication } = deps;
  const { operationId, clusterId, round } = input;
  const key = { operationId, step: 'adjustCluster:leave', round };
  const left = [...plan.leaving];
  if (!(await stepResult(clusters, key))) {
    const members = (await membershipsOf(clusters, clusterId)).filter(
      ({ state, agentId }) => state === 'active' && !left.includes(agentId),
    );
    failpoint('adjustCluster:before-leaving');
    const coordinator = await announce(deps, plan, { epoch: epoch + 1, members, joined: [], told: left }, operationId);
    await saveStep<CommittedChange>(clusters, key, thisAttempt(), async (tx) => {
      await startLeaving(tx, { clusterId, operationId, epoch: epoch + 1, coordinator, leaving: left });
      await setDesiredSize(tx, clusterId, members.length);
      return { joined: [], left, epoch: epoch + 1, cause: input.cause, charged: input.charged };
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
  await reAddressClusterMail(deps.messaging, clusterId);
  return { ...nothing(epoch + 1), left };
}

/** Routing table and member list of an epoch, told to all it concerns. @returns the coordinator. */
async function announce(
  { clusters, communication, messaging, settings }: ActivityDeps,
  { clusterId, spec }: FormationPlan,
  {
    epoch,
    members,
    joined,
    told,
  }: {
    readonly epoch: number;
    readonly members: readonly MembershipRow[];
    readonly joined: readonly string[];
    /** Who is told besides the members. */
    readonly told: readonly string[];
  },
  operationId: string,
): Promise<string> {
  const before = (await findCluster(clusters, clusterId))?.coordinator;
  const coordinator =
    before && members.some(({ agentId }) => agentId === before)
      ? before
      : electCoordinator(
          members.map(({ agentId, chosenLoad }) => ({ agentId, load: chosenLoad })),
          operationId,
        );
  if (!coordinator) throw new Error(`Cluster ${clusterId} would have no member left`);
  const listed = members.map(({ agentId, roles }) => ({ agentId, roles }));
  const data = { clusterId, name: spec.name, epoch, coordinator, fencingToken: epoch, members: listed };
  const mail = (type: string, recipients: readonly string[]) => ({
    message: { id: `msg_${clusterId}_e${epoch}_${type}`, source: settings.id, type, clusterId, epoch, data },
    recipients,
  });
  const staying = [...listed.map(({ agentId }) => agentId).filter((id) => !joined.includes(id)), ...told];
  await routeAndDeliver(communication, { clusterId, epoch, members: listed }, [
    ...(joined.length > 0 ? [mail(managerMessageTypes.joined, joined)] : []),
    ...(staying.length > 0 ? [mail(managerMessageTypes.changed, staying)] : []),
  ]);
  messaging.wake([...joined, ...staying]);
  return coordinator;
}
