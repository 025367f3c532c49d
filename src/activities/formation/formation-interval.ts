import { ManagerError } from '../../contracts/errors.js';
import { describeShortfall } from '../../domain/formation/describe-shortfall.js';
import { match } from '../../domain/formation/match.js';
import { describePlan, type PlanDiff } from '../../domain/formation/plan-diff.js';
import { parseFormationRequest, type FormationSpec } from '../../contracts/formation.js';
import {
  abandonedOperations,
  clustersBelowMinimum,
  expiredReservations,
  findCandidates,
  membershipsOf,
  nextRound,
  queuedOperations,
  releaseExpiredReservations,
  type OperationRow,
  type ShortCluster,
} from '../../stores/clusters/index.js';
import { asActivity } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { reserveForQueuedOperation } from './identify-agents.js';
import { candidateQueryOf, matchRequestOf, toCandidate } from './plan.js';

const shortClustersARun = 200;
const queuedARun = 200;
const abandonedGraceSeconds = 30;

/** After the manager's own outage nobody's silence is held against them for two leases. */
const graceSeconds = (deps: ActivityDeps) => 2 * deps.settings.leaseSeconds;

/** Says what the formation interval would do now, a line each, and changes nothing. */
export const describeFormationInterval = (deps: ActivityDeps) =>
  asActivity(async (_input: object): Promise<{ readonly lines: readonly string[] }> => {
    const { clusters, settings } = deps;
    const short = await clustersBelowMinimum(clusters, { graceSeconds: graceSeconds(deps), limit: shortClustersARun });
    const queue = await queuedOperations(clusters, queuedARun);
    const parts = await Promise.all(short.map((cluster) => describeRepair(deps, cluster)));
    const served = [];
    for (const operation of queue) {
      const spec = parseFormationRequest(operation.request, settings.clusterSize);
      served.push({ operationId: operation.id, blockedBy: await blockerOf(deps, spec, operation) });
    }
    const diff: PlanDiff = {
      joins: parts.flatMap((part) => part.joins),
      leaves: parts.flatMap((part) => part.leaves),
      unrepairable: parts.flatMap((part) => part.unrepairable),
      unchanged: [],
      queue: served,
      releases: await expiredReservations(clusters),
    };
    return { lines: describePlan(diff) };
  });

async function describeRepair({ clusters }: ActivityDeps, cluster: ShortCluster) {
  const { id: clusterId, spec } = cluster;
  const members = await membershipsOf(clusters, clusterId);
  const staying = members.filter((member) => member.state === 'active' && member.alive);
  const { eligible, rejected } = await findCandidates(clusters, candidateQueryOf(spec, clusterId, clusterId));
  const found = match(
    eligible.map((row) => toCandidate(row, spec.resources)),
    matchRequestOf(spec, staying, clusterId),
  );
  const feasible = found.shortfall.length === 0;
  return {
    joins: feasible ? found.members.map((member) => ({ clusterId, ...member })) : [],
    leaves: feasible
      ? cluster.lost.map((agentId) => ({ clusterId, agentId, reason: 'its lease expired or it left' }))
      : [],
    unrepairable: feasible ? [] : [{ clusterId, reason: describeShortfall(found.shortfall, rejected) }],
  };
}

async function blockerOf(
  { clusters }: ActivityDeps,
  spec: FormationSpec,
  operation: OperationRow,
): Promise<string | null> {
  const { eligible, rejected } = await findCandidates(clusters, candidateQueryOf(spec, operation.id, null));
  const found = match(
    eligible.map((row) => toCandidate(row, spec.resources)),
    matchRequestOf(spec, [], operation.id),
  );
  return found.shortfall.length === 0 ? null : describeShortfall(found.shortfall, rejected);
}

export interface IntervalWork {
  readonly releasedReservations: number;
  /** Queued formations for which agents are reserved now, first come first served; their workflows wait to be woken. */
  readonly served: readonly { readonly operationId: string; readonly workflowId: string }[];
  readonly short: readonly string[];
  readonly abandoned: readonly Pick<OperationRow, 'id' | 'kind' | 'clusterId' | 'request'>[];
}

/**
 * The work of one formation interval that is not a workflow's: releases expired reservations, reserves agents for
 * queued requests in the order they came, and lists the clusters to repair and the operations nobody works on.
 */
export const runFormationInterval = (deps: ActivityDeps) =>
  asActivity(async (_input: object): Promise<IntervalWork> => {
    const { clusters } = deps;
    const releasedReservations = await releaseExpiredReservations(clusters);
    const short = await clustersBelowMinimum(clusters, { graceSeconds: graceSeconds(deps), limit: shortClustersARun });
    const abandoned = await abandonedOperations(clusters, {
      startSeconds: 10,
      graceSeconds: abandonedGraceSeconds,
      limit: 100,
    });
    const served = [];
    for (const operation of await queuedOperations(clusters, queuedARun)) {
      if (await serve(deps, operation)) served.push({ operationId: operation.id, workflowId: operation.workflowId });
    }
    return {
      releasedReservations,
      served,
      short: short.map((cluster) => cluster.id),
      abandoned: abandoned.map(({ id, kind, clusterId, request }) => ({ id, kind, clusterId, request })),
    };
  });

/** One that is refused, because it ended meanwhile or the settings no longer allow it, does not hold up the others. */
async function serve(deps: ActivityDeps, operation: OperationRow): Promise<boolean> {
  try {
    return await reserveForQueuedOperation(deps, operation, await nextRound(deps.clusters, operation.id));
  } catch (error) {
    if (error instanceof ManagerError) return false;
    throw error;
  }
}
