import { ManagerError } from '../../contracts/errors.js';
import { parseFormationRequest, type FormationSpec } from '../../contracts/formation.js';
import { describeShortfall } from '../../domain/formation/describe-shortfall.js';
import { match } from '../../domain/formation/match.js';
import { describePlan } from '../../domain/formation/plan-diff.js';
import type { Match } from '../../domain/formation/types.js';
import {
  clustersBelowMinimum,
  expiredReservations,
  findCandidates,
  membershipsOf,
  nextRound,
  queuedOperations,
  releaseExpiredReservations,
  type ClustersDb,
  type MembershipRow,
  type OperationRow,
  type ShortCluster,
} from '../../stores/clusters/index.js';
import type { FormationDeps } from '../deps.js';
import { reserveForQueuedOperation } from './identify-agents.js';
import { candidateQueryOf, matchRequestOf, toCandidate } from './plan.js';

/** The clusters and queued formations of one run, and how long after an outage of the manager missing leases are ignored. */
const intervalLimits = ({ leaseSeconds }: { readonly leaseSeconds: number }) => ({
  limit: 200,
  graceSeconds: 2 * leaseSeconds,
});

interface IntervalWork {
  readonly releasedReservations: number;
  /** Queued formations, oldest first, for which agents are reserved now; their workflows wait for a signal. */
  readonly served: readonly { readonly operationId: string; readonly workflowId: string }[];
  /** Clusters below their minimum size. */
  readonly short: readonly string[];
}

/**
 * The part of a formation interval that needs no workflow: releases expired reservations and reserves agents for queued
 * requests in the order they came. Lists the clusters to repair.
 */
export async function runFormationInterval(deps: FormationDeps, _input: object): Promise<IntervalWork> {
  const { clusters, settings } = deps;
  const limits = intervalLimits(settings);
  const releasedReservations = await releaseExpiredReservations(clusters);
  const short = await clustersBelowMinimum(clusters, limits);
  const served = [];
  for (const operation of await queuedOperations(clusters, limits.limit)) {
    if (await serve(deps, operation)) served.push({ operationId: operation.id, workflowId: operation.workflowId });
  }
  return { releasedReservations, served, short: short.map((cluster) => cluster.id) };
}

/** A request that is refused, because it ended meanwhile or the settings changed, does not hold up the others. */
async function serve(deps: FormationDeps, operation: OperationRow): Promise<boolean> {
  try {
    return await reserveForQueuedOperation(deps, operation, await nextRound(deps.clusters, operation.id));
  } catch (error) {
    if (error instanceof ManagerError) return false;
    throw error;
  }
}

/** Describes what the formation interval would do now, one line for each change, and changes nothing. */
export async function planFormationInterval(
  { clusters, settings }: FormationDeps,
  _input: object,
): Promise<{ readonly lines: readonly string[] }> {
  const limits = intervalLimits(settings);
  const short = await clustersBelowMinimum(clusters, limits);
  const repairs = await Promise.all(short.map((cluster) => planRepair(clusters, cluster)));
  const queue = [];
  for (const { id: operationId, request } of await queuedOperations(clusters, limits.limit)) {
    const spec = parseFormationRequest(request, settings.clusterSize);
    const { shortfall } = await tryMatch(clusters, spec, operationId);
    queue.push({ operationId, blockedBy: shortfall });
  }
  const lines = describePlan({
    joins: repairs.flatMap(({ joins }) => joins),
    leaves: repairs.flatMap(({ leaves }) => leaves),
    unrepairable: repairs.flatMap(({ unrepairable }) => unrepairable),
    unchanged: [],
    queue,
    releases: await expiredReservations(clusters),
  });
  return { lines };
}

async function planRepair(clusters: ClustersDb, { id: clusterId, spec, lost }: ShortCluster) {
  const members = await membershipsOf(clusters, clusterId);
  const staying = members.filter((member) => member.state === 'active' && member.alive);
  const { found, shortfall } = await tryMatch(clusters, spec, clusterId, { clusterId, staying });
  if (shortfall !== null) return { joins: [], leaves: [], unrepairable: [{ clusterId, reason: shortfall }] };
  const reason = 'its lease expired or it left';
  return {
    joins: found.members.map((member) => ({ clusterId, ...member })),
    leaves: lost.map((agentId) => ({ clusterId, agentId, reason })),
    unrepairable: [],
  };
}

/**
 * @param repair the cluster to repair, and the members that it keeps; none for a formation.
 * @returns the members that would be chosen, and what is lacking: null when the request can be satisfied.
 */
async function tryMatch(
  clusters: ClustersDb,
  spec: FormationSpec,
  seed: string,
  repair: { readonly clusterId: string | null; readonly staying: readonly MembershipRow[] } = {
    clusterId: null,
    staying: [],
  },
): Promise<{ readonly found: Match; readonly shortfall: string | null }> {
  const { eligible, rejected } = await findCandidates(clusters, candidateQueryOf(spec, seed, repair.clusterId));
  const candidates = eligible.map((row) => toCandidate(row, spec.resources));
  const found = match(candidates, matchRequestOf(spec, repair.staying, seed));
  return { found, shortfall: found.shortfall.length === 0 ? null : describeShortfall(found.shortfall, rejected) };
}
