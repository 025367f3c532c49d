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
  queuedOperations,
  type MembershipRow,
  type ShortCluster,
} from '../../stores/clusters/index.js';
import type { ActivityDeps } from '../deps.js';
import { intervalLimits } from './formation-interval.js';
import { candidateQueryOf, matchRequestOf, toCandidate } from './plan.js';

type Deps = ActivityDeps;

/** Describes what the formation interval would do now, one line for each change, and changes nothing. */
export async function planFormationInterval(
  { clusters, settings }: Deps,
  _input: object,
): Promise<{ readonly lines: readonly string[] }> {
  const short = await clustersBelowMinimum(clusters, intervalLimits(settings));
  const queued = await queuedOperations(clusters, intervalLimits(settings).limit);
  const repairs = await Promise.all(short.map((cluster) => planRepair({ clusters }, cluster)));
  const queue = [];
  for (const { id: operationId, request } of queued) {
    const spec = parseFormationRequest(request, settings.clusterSize);
    const { shortfall } = await tryMatch({ clusters }, spec, { operationId, clusterId: null, staying: [] });
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

async function planRepair(deps: Pick<Deps, 'clusters'>, { id: clusterId, spec, lost }: ShortCluster) {
  const members = await membershipsOf(deps.clusters, clusterId);
  const staying = members.filter((member) => member.state === 'active' && member.alive);
  const { found, shortfall } = await tryMatch(deps, spec, { operationId: clusterId, clusterId, staying });
  if (shortfall !== null) return { joins: [], leaves: [], unrepairable: [{ clusterId, reason: shortfall }] };
  const reason = 'its lease expired or it left';
  return {
    joins: found.members.map((member) => ({ clusterId, ...member })),
    leaves: lost.map((agentId) => ({ clusterId, agentId, reason })),
    unrepairable: [],
  };
}

interface MatchFor {
  readonly operationId: string;
  /** The cluster to repair; null for a formation. */
  readonly clusterId: string | null;
  readonly staying: readonly MembershipRow[];
}

/** @returns the members that would be chosen, and what is lacking: null when the request can be satisfied. */
async function tryMatch(
  { clusters }: Pick<Deps, 'clusters'>,
  spec: FormationSpec,
  { operationId, clusterId, staying }: MatchFor,
): Promise<{ readonly found: Match; readonly shortfall: string | null }> {
  const { eligible, rejected } = await findCandidates(clusters, candidateQueryOf(spec, operationId, clusterId));
  const candidates = eligible.map((row) => toCandidate(row, spec.resources));
  const found = match(candidates, matchRequestOf(spec, staying, operationId));
  return { found, shortfall: found.shortfall.length === 0 ? null : describeShortfall(found.shortfall, rejected) };
}
