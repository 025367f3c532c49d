import type { RoundIds } from '../../contracts/ids.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import { reAddressClusterDeliveries } from '../../messaging/re-address-deliveries.js';
import {
  activateCluster,
  clusterWithMembers,
  findOperation,
  leavingSince,
  releaseLeaving,
  saveStep,
  startLeaving,
  unfinished,
  type ClustersDb,
  type OpenStep,
} from '../../stores/clusters/index.js';
import { openDeliveriesOf } from '../../stores/communication/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { announceEpoch, type MembersOfEpoch } from '../shared/announce-membership.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { ScalingDeps } from '../deps.js';
import { openInboxes, sendInvitations } from '../formation/invite.js';
import { connectMembers } from '../formation/connect-members.js';
import { recordCommittedChange, type CommittedChange } from './record-change.js';
import { readScalingRun, type AllocatedResources } from './scaling-run.js';

export interface AdjustedCluster extends Pick<CommittedChange, 'joined' | 'left' | 'epoch'> {
  /** Null when the change is complete; else how long to wait before the next call. */
  readonly waitSeconds: number | null;
  /** What the change waits for. */
  readonly progress: string;
}

/** One round of a change, with what its earlier calls committed. */
interface Round extends RoundIds, Pick<AllocatedResources, 'plan' | 'cause' | 'charged'> {
  readonly joined: CommittedChange | undefined;
  readonly left: CommittedChange | undefined;
}

/**
 * Step 3 of scale_cluster, make before break. Reserved agents are invited, connected, and become members at the next
 * epoch. Departing members leave the routing table at the epoch after that, drain, and are released then. Called again
 * until done. How long a drain has lasted is stored with the membership, so that any worker can continue it.
 * @throws `StateConflict` when the cluster changed since the plan was made, `InvitationsDeclined`, `ReservationLost`.
 */
export async function adjustCluster(deps: ScalingDeps, input: RoundIds): Promise<AdjustedCluster> {
  const { operationId, clusterId, round } = input;
  const { clusters, resources } = deps;
  const { allocated, adjusted } = await readScalingRun(clusters, operationId);
  const done = adjusted<AdjustedCluster>('adjustCluster', round);
  if (done) return done;
  const allocation = allocated(round);
  if (!allocation) throw new Error(`Round ${round} of ${operationId} has no allocated resources yet`);
  const { plan, cause, charged } = allocation;
  const current: Round = {
    ...{ operationId, clusterId, round, plan, cause, charged },
    joined: adjusted('adjustCluster:join', round),
    left: adjusted('adjustCluster:leave', round),
  };
  const joined = await join(deps, current);
  if (joined.waitSeconds !== null) return joined;
  // Joining is one transaction; when no member departs, it is the whole change.
  if (joined.joined.length > 0 && plan.leaving.length === 0) {
    await recordCommittedChange(resources, input, { ...joined, cause, charged });
    failpoint('adjustCluster:noted');
    return joined;
  }
  const left = await leave(deps, current);
  if (left.waitSeconds !== null) return left;
  const result = { ...left, joined: joined.joined };
  await recordCommittedChange(resources, input, { ...result, cause, charged });
  return saveStep(clusters, { operationId, step: 'adjustCluster', round }, thisAttempt(), async (tx) => {
    await releaseLeaving(tx, operationId);
    return result;
  });
}

const unchanged = (epoch: number): AdjustedCluster => ({
  waitSeconds: null,
  progress: '',
  joined: [],
  left: [],
  epoch,
});

/** Connects the reserved agents and makes them members at the next epoch. */
async function join(deps: ScalingDeps, current: Round): Promise<AdjustedCluster> {
  const { operationId, plan } = current;
  if (plan.joining.length === 0) return unchanged(plan.epoch);
  if (current.joined) return { ...unchanged(current.joined.epoch), joined: current.joined.joined };
  await openInboxes(deps, plan);
  const connected = await connect(deps, current);
  if (connected.waitSeconds !== null) {
    await sendInvitations(deps, plan, operationId);
    const progress = `waiting for answers of ${connected.ids.join(', ')}`;
    return { ...unchanged(plan.epoch), waitSeconds: connected.waitSeconds, progress };
  }
  const { members: present, coordinator: previous } = await readMembers(deps.clusters, current.clusterId);
  const members = present.filter((member) => connected.ids.includes(member.agentId));
  const idsOf = (state: 'reserved' | 'active') =>
    members.filter((member) => member.state === state).map(({ agentId }) => agentId);
  failpoint('adjustCluster:before-joining');
  const next = { epoch: plan.epoch + 1, members, joining: idsOf('reserved'), informed: idsOf('active'), previous };
  const { epoch, joined } = await commitEpoch(deps, current, { ...next, leaving: [] });
  return { ...unchanged(epoch), joined };
}

interface NextEpoch extends Pick<MembersOfEpoch, 'epoch' | 'members' | 'joining' | 'informed' | 'previous'> {
  readonly leaving: readonly string[];
}

/** Announces the next epoch of a cluster, then makes it effective and saves what changed. */
async function commitEpoch(
  deps: ScalingDeps,
  { operationId, clusterId, round, plan, cause, charged }: Round,
  { leaving, ...next }: NextEpoch,
): Promise<CommittedChange> {
  const { epoch, joining, members } = next;
  const coordinator = await announceEpoch(deps, { ...next, operationId, plan });
  const change = { clusterId, operationId, epoch, coordinator, leaving, desired: members.length };
  const step = leaving.length > 0 ? 'adjustCluster:leave' : 'adjustCluster:join';
  return saveStep<CommittedChange>(deps.clusters, { operationId, step, round }, thisAttempt(), async (tx) => {
    await (leaving.length > 0 ? startLeaving(tx, change) : activateCluster(tx, { ...change, joining }));
    return { joined: joining, left: leaving, epoch, cause, charged };
  });
}

interface Connected {
  readonly waitSeconds: number | null;
  /** The connected members, or while waiting the invited agents. */
  readonly ids: readonly string[];
}

/** Invites reserved agents, substitutes those that decline, and links the members once all have answered. */
function connect({ clusters, settings }: ScalingDeps, { operationId, round, plan }: Round): Promise<Connected> {
  const key = { operationId, step: 'adjustCluster:connect', round };
  const work = async (tx: ClustersDb, { members }: OpenStep) => {
    // Members that another change is about to remove are neither kept nor invited.
    const kept = [...plan.staying, ...plan.leaving];
    const involved = members.filter((member) => member.operationId === operationId || kept.includes(member.agentId));
    const { waitSeconds, ...found } = await connectMembers(tx, { plan, operationId, settings }, involved);
    return waitSeconds === null
      ? { waitSeconds, ids: found.members }
      : ([unfinished, { waitSeconds, ids: found.invited }] as const);
  };
  return saveStep<Connected>(clusters, key, thisAttempt(), work, { members: true });
}

async function readMembers(clusters: ClustersDb, clusterId: string) {
  const found = await clusterWithMembers(clusters, clusterId);
  if (!found) throw new Error(`Cluster ${clusterId} does not exist`);
  return { coordinator: found.cluster.coordinator, members: found.members };
}

/** Removes departing members from the routing table, then waits until they have acked their deliveries or time is up. */
async function leave(deps: ScalingDeps, current: Round): Promise<AdjustedCluster> {
  const { plan } = current;
  const epoch = plan.epoch + (plan.joining.length > 0 ? 1 : 0);
  if (plan.leaving.length === 0) return unchanged(epoch);
  if (!current.left) await removeFromRouting(deps, current, epoch + 1);
  const drain = await drainOf(deps, current);
  if (drain) return { ...unchanged(epoch + 1), ...drain };
  failpoint('adjustCluster:drained');
  await reAddressClusterDeliveries(deps.messaging, current.clusterId);
  return { ...unchanged(epoch + 1), left: plan.leaving };
}

async function removeFromRouting(deps: ScalingDeps, current: Round, epoch: number): Promise<void> {
  const { leaving } = current.plan;
  const { members: present, coordinator: previous } = await readMembers(deps.clusters, current.clusterId);
  const members = present.filter(({ state, agentId }) => state === 'active' && !leaving.includes(agentId));
  failpoint('adjustCluster:before-leaving');
  const informed = [...members.map(({ agentId }) => agentId), ...leaving];
  await commitEpoch(deps, current, { epoch, members, joining: [], informed, previous, leaving });
}

/** @returns what the drain still waits for; null when it is complete or its time is up. */
async function drainOf({ clusters, communication }: ScalingDeps, { operationId, clusterId, plan }: Round) {
  const drain = await leavingSince(clusters, operationId);
  if (!drain) return null;
  const { drainSeconds } = parseScalingRequest((await findOperation(clusters, operationId))?.request);
  const secondsLeft = drainSeconds - drain.seconds;
  const open = secondsLeft > 0 ? await openDeliveriesOf(communication, clusterId, drain.agentIds) : 0;
  if (open === 0) return null;
  return {
    waitSeconds: Math.min(1, secondsLeft),
    progress: `draining ${plan.leaving.join(', ')}: ${open} open deliveries, ${Math.ceil(secondsLeft)} s left`,
  };
}
