import { ManagerError } from '../../contracts/errors.js';
import { parseScalingRequest } from '../../contracts/scaling.js';
import type { ClusterId, OperationId } from '../../contracts/ids.js';
import { describeShortfall } from '../../domain/formation/describe-shortfall.js';
import type { Answer } from '../../domain/scaling/claims.js';
import {
  clusterWithMembers,
  countRejections,
  findCandidates,
  saveStep,
  type ClusterRow,
  type ClustersDb,
} from '../../stores/clusters/index.js';
import { openCapacityRequest } from '../../stores/resources/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { candidateQueryOf, matchRequestOf, type FormationPlan } from '../formation/plan.js';
import { Contended, reserveAgents } from '../formation/reserve-agents.js';
import { fairShare, type Entitled, type FairShare } from './fair-share.js';

/** A change of size that is to be carried out: what was assessed, or its way back. */
export interface WantedChange {
  readonly direction: 'out' | 'in' | 'none';
  /** Members wanted in all. */
  readonly desired: number;
  /** Who leaves. */
  readonly victims: readonly string[];
}

export interface AllocateResourcesInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly round: number;
  readonly change: WantedChange;
  /** Whether somebody asked for this size: then the headroom is there to be used. */
  readonly isAsked: boolean;
  /** Whether what the fleet cannot give is asked of the orchestrator. */
  readonly mayAsk: boolean;
}

export interface AllocatedResources {
  /** Null when nothing is to change. */
  readonly plan: FormationPlan | null;
  /** How many members are wanted and could not be had. */
  readonly missing: number;
  /** Why; empty when nothing is missing. */
  readonly reason: string;
  readonly share: FairShare | null;
  /** Open with the orchestrator; the run waits for its answer. */
  readonly asked: { readonly requestId: string; readonly seconds: number; readonly reason: string } | null;
}

const nothingAsked: AllocatedResources = { plan: null, missing: 0, reason: '', share: null, asked: null };

/**
 * Step 2 of scale_cluster: what the cluster may have by its fair share, and agents reserved for it. What the fleet cannot
 * give becomes a request to the orchestrator.
 */
export const allocateResources = (deps: ActivityDeps) => {
  const shareOf = fairShare(deps);
  return asActivity(async (input: AllocateResourcesInput): Promise<AllocatedResources> => {
    const { operationId, clusterId, round, change } = input;
    const key = { operationId, step: 'allocateResources', round };
    // It follows from what was asked alone, so there is nothing to save.
    if (change.direction === 'none') return nothingAsked;
    const share =
      change.direction === 'out' ? await shareOf(clusterId, { desired: change.desired, isAsked: input.isAsked }) : null;
    const work = (turn: boolean): Promise<AllocatedResources> =>
      saveStep(deps.clusters, key, thisAttempt(), async (tx, { operation }) => {
        const { grantSeconds, deadlineSeconds } = parseScalingRequest(operation.request);
        const { plan, missing, reason } = await planFor(tx, input, { share, turn, deadlineSeconds });
        const asked =
          missing > 0 && input.mayAsk && grantSeconds > 0
            ? await ask(deps, input, { missing, reason, plan, seconds: grantSeconds })
            : null;
        return { plan, missing, reason: missing > 0 ? reason : '', share: share?.told ?? null, asked };
      });
    try {
      return await work(false);
    } catch (error) {
      if (!(error instanceof Contended)) throw error;
      return work(true);
    }
  });
};

/** Chooses and reserves who joins. Nobody is reserved where nobody is needed. */
async function planFor(
  tx: ClustersDb,
  { operationId, clusterId, change }: AllocateResourcesInput,
  {
    share,
    turn,
    deadlineSeconds,
  }: { readonly share: Entitled | null; readonly turn: boolean; readonly deadlineSeconds: number },
): Promise<{ readonly plan: FormationPlan; readonly missing: number; readonly reason: string }> {
  const found = await clusterWithMembers(tx, clusterId);
  if (!found) throw new Error(`Cluster ${clusterId} is gone`);
  const { cluster } = found;
  const members = found.members.filter(({ state }) => state === 'active');
  if (cluster.state !== 'active') {
    throw new ManagerError(
      'state_conflict',
      `Cluster "${clusterId}" is ${cluster.state} by now; only an active cluster can be scaled`,
    );
  }
  // Members that went meanwhile for another reason must not take the cluster below its minimum together with these.
  const leaving = change.victims
    .filter((id) => members.some(({ agentId }) => agentId === id))
    .slice(0, Math.max(0, members.length - cluster.spec.size.min));
  const staying = members.filter(({ agentId }) => !leaving.includes(agentId));
  const nobody = planOf(cluster, { staying: staying.map(({ agentId }) => agentId), leaving });
  const wanted = change.direction === 'out' ? change.desired - staying.length : 0;
  if (wanted <= 0) return { plan: nobody, missing: 0, reason: '' };
  const entitled = share ? Math.max(0, Math.min(wanted, share.units - staying.length)) : wanted;
  const unfair = share && entitled < wanted ? reasonOf(share.told.answer) : '';
  if (entitled === 0) return { plan: nobody, missing: wanted, reason: unfair };
  // As many as there are, up to what it is entitled to: each of them helps.
  const target = staying.length + entitled;
  const spec = { ...cluster.spec, deadlineSeconds, size: { min: staying.length + 1, desired: target, max: target } };
  const query = { ...candidateQueryOf(spec, operationId, clusterId), places: entitled };
  const chosen = await reserveAgents(
    tx,
    { operationId, clusterId, spec, query, request: matchRequestOf(spec, staying, operationId), counting: false },
    await findCandidates(tx, query, { counting: false }),
    turn,
  );
  const joining = chosen.shortfall.length === 0 ? chosen.members : [];
  const missing = wanted - joining.length;
  // Why others are not eligible matters only where nobody is.
  const rejected = chosen.shortfall.length > 0 ? await countRejections(tx, query) : chosen.rejected;
  const scarce = chosen.shortfall.length > 0 ? describeShortfall(chosen.shortfall, rejected) : '';
  return {
    plan: { ...nobody, joining, alternates: chosen.alternates, rejected },
    missing,
    reason: unfair || scarce || `${joining.length} of ${wanted} agents that were wanted are free and eligible`,
  };
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

async function ask(
  { resources }: ActivityDeps,
  { operationId, clusterId, round }: AllocateResourcesInput,
  {
    missing,
    reason,
    plan,
    seconds,
  }: { readonly missing: number; readonly reason: string; readonly plan: FormationPlan; readonly seconds: number },
): Promise<AllocatedResources['asked']> {
  const { requiredCapabilities, resources: perMember, labels } = plan.spec;
  const request = await openCapacityRequest(resources, {
    id: `rr_${operationId}_${round}`,
    clusterId,
    operationId,
    round,
    need: { agents: missing, requiredCapabilities, perMember, labels },
    reason,
    deadlineSeconds: seconds,
  });
  failpoint('allocateResources:asked');
  return { requestId: request.id, seconds, reason };
}
