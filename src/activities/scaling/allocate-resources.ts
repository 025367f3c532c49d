import { parseScalingRequest } from '../../contracts/scaling.js';
import type { RoundIds } from '../../contracts/ids.js';
import { describeShortfall } from '../../domain/formation/describe-shortfall.js';
import type { Answer } from '../../domain/scaling/claims.js';
import type { Change, Decision } from '../../domain/scaling/types.js';
import {
  clusterWithMembers,
  countRejections,
  findCandidates,
  requireScalable,
  saveStep,
  stepResult,
  type ClusterRow,
  type ClustersDb,
  type MembershipRow,
} from '../../stores/clusters/index.js';
import { openCapacityRequest, withdrawCapacityRequests } from '../../stores/resources/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { ScalingDeps } from '../deps.js';
import { candidateQueryOf, matchRequestOf, type FormationPlan } from '../formation/plan.js';
import { reserveAgents, withRetryInTurn } from '../formation/reserve-agents.js';
import { fairShare, type Entitlement } from './fair-share.js';
import { readScalingRun, type AllocatedResources, type ScalingRun } from './scaling-run.js';

/** A change of size: the assessed one, or its rollback. */
interface ChangeOfSize extends Pick<Decision, 'direction' | 'desired' | 'victims' | 'charged'> {
  readonly cause: Change['cause'];
  /** Whether this size was requested explicitly; it may then use the headroom. */
  readonly isRequested: boolean;
  /** Whether missing members are requested from the orchestrator. */
  readonly mayRequest: boolean;
}

/**
 * Step 2 of scale_cluster: determines what the cluster may have by its fair share and reserves agents for it. What the
 * fleet lacks becomes a capacity request to the orchestrator.
 */
export async function allocateResources(deps: ScalingDeps, input: RoundIds): Promise<AllocatedResources> {
  const { operationId, clusterId, round } = input;
  const change = changeOf(await readScalingRun(deps.clusters, operationId));
  const share = change.direction === 'out' ? await fairShare(deps, clusterId, change) : null;
  const key = { operationId, step: 'allocateResources', round };
  const allocated = await withRetryInTurn((isTurn) =>
    saveStep<AllocatedResources>(deps.clusters, key, thisAttempt(), async (tx, { operation }) => {
      const { grantSeconds, deadlineSeconds } = parseScalingRequest(operation.request);
      const planned = await planFor(tx, { ...input, change, share, isTurn, deadlineSeconds });
      const { missing, reason } = planned;
      const isRequested = missing > 0 && change.mayRequest && grantSeconds > 0;
      return {
        ...planned,
        reason: missing > 0 ? reason : '',
        share: share?.report ?? null,
        capacityRequest: isRequested
          ? { requestId: `rr_${operationId}_${round}`, seconds: grantSeconds, reason }
          : null,
        cause: change.cause,
        charged: change.charged,
      };
    }),
  );
  // After the step: an attempt that died in between left a saved step, and the next one opens the request.
  await requestCapacity(deps, input, allocated);
  return allocated;
}

/** The change of the current round: the assessed one, or its rollback after the soak has failed. */
function changeOf({ needs, changes, verdict }: ScalingRun): ChangeOfSize {
  const soaked = verdict(0);
  if (soaked?.verdict !== 'roll_back') {
    const { direction, desired, victims, charged, because } = needs;
    const cause = because === 'asked' ? 'asked' : because === 'below_minimum' ? 'replacement' : 'scaling';
    return { direction, desired, victims, cause, charged, isRequested: because === 'asked', mayRequest: true };
  }
  const back = { desired: soaked.to, cause: 'rollback', charged: 0, isRequested: true, mayRequest: false } as const;
  return needs.direction === 'out'
    ? { ...back, direction: 'in', victims: changes.flatMap(({ joined }) => joined) }
    : { ...back, direction: 'out', victims: [] };
}

interface Allocation extends RoundIds {
  readonly change: ChangeOfSize;
  readonly share: Entitlement | null;
  /** Whether this allocation takes its turn behind concurrent ones, after losing a race for agents. */
  readonly isTurn: boolean;
  readonly deadlineSeconds: number;
}

type Planned = Pick<AllocatedResources, 'plan' | 'missing' | 'reason'>;

/** Plans the change and reserves the agents that join. */
async function planFor(tx: ClustersDb, allocation: Allocation): Promise<Planned> {
  const { clusterId, change, share } = allocation;
  const { cluster, members: present = [] } = (await clusterWithMembers(tx, clusterId)) ?? {};
  requireScalable(cluster, clusterId);
  const members = present.filter(({ state }) => state === 'active');
  // Members lost meanwhile must not take the cluster below its minimum together with these.
  const leaving = change.victims
    .filter((id) => members.some(({ agentId }) => agentId === id))
    .slice(0, Math.max(0, members.length - cluster.spec.size.min));
  const staying = members.filter(({ agentId }) => !leaving.includes(agentId));
  const plan = planOf(cluster, { staying: staying.map(({ agentId }) => agentId), leaving });
  const wanted = change.direction === 'out' ? change.desired - staying.length : 0;
  if (wanted <= 0) return { plan, missing: 0, reason: '' };
  const entitled = share ? Math.max(0, Math.min(wanted, share.units - staying.length)) : wanted;
  const limited = share && entitled < wanted ? reasonOf(share.report.answer) : '';
  if (entitled === 0) return { plan, missing: wanted, reason: limited };
  const { joining, alternates, rejected, scarce } = await reserve(tx, allocation, { cluster, staying, entitled });
  return {
    plan: { ...plan, joining, alternates, rejected },
    missing: wanted - joining.length,
    reason: limited || scarce || `${joining.length} of ${wanted} wanted agents are free and eligible`,
  };
}

/** Reserves as many eligible agents as there are, up to the entitled number: each of them helps. */
async function reserve(
  tx: ClustersDb,
  { operationId, clusterId, deadlineSeconds, isTurn }: Allocation,
  grow: { readonly cluster: ClusterRow; readonly staying: readonly MembershipRow[]; readonly entitled: number },
) {
  const { cluster, staying, entitled } = grow;
  const target = staying.length + entitled;
  const spec = { ...cluster.spec, deadlineSeconds, size: { min: staying.length + 1, desired: target, max: target } };
  const query = { ...candidateQueryOf(spec, operationId, clusterId), places: entitled };
  const chosen = await reserveAgents(
    tx,
    { operationId, clusterId, spec, query, request: matchRequestOf(spec, staying, operationId), counting: false },
    await findCandidates(tx, query, { counting: false }),
    isTurn,
  );
  const { alternates, shortfall } = chosen;
  if (shortfall.length === 0) return { joining: chosen.members, alternates, rejected: chosen.rejected, scarce: '' };
  // Rejections are counted only when no agent is eligible; otherwise they explain nothing.
  const rejected = await countRejections(tx, query);
  return { joining: [], alternates, rejected, scarce: describeShortfall(shortfall, rejected) };
}

const planOf = (
  { id: clusterId, epoch, spec }: ClusterRow,
  parts: Pick<FormationPlan, 'staying' | 'leaving'>,
): FormationPlan => ({
  clusterId,
  epoch,
  spec,
  joining: [],
  alternates: [],
  rejected: {},
  shortfall: [],
  ...parts,
});

const reasonOf = (answer: Answer): string => (answer.kind === 'granted' ? '' : answer.why.detail);

/** Opens the capacity request of a round, once. */
async function requestCapacity(
  { clusters, resources }: ScalingDeps,
  { operationId, clusterId, round }: RoundIds,
  { capacityRequest, plan, missing }: AllocatedResources,
): Promise<void> {
  if (!capacityRequest) return;
  const { requiredCapabilities, resources: perMember, labels } = plan.spec;
  await openCapacityRequest(resources, {
    id: capacityRequest.requestId,
    clusterId,
    operationId,
    round,
    need: { agents: missing, requiredCapabilities, perMember, labels },
    reason: capacityRequest.reason,
    deadlineSeconds: capacityRequest.seconds,
  });
  failpoint('allocateResources:asked');
  // A late attempt: the compensation bars this step before it withdraws requests, so one of the two withdraws this one.
  const undo = await stepResult(clusters, { operationId, step: 'undo:allocateResources', round: 0 });
  if (undo !== undefined) await withdrawCapacityRequests(resources, operationId);
}
