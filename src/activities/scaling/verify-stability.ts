import type { ClusterId, OperationId } from '../../contracts/ids.js';
import type { ScalingOutcome, ScalingResult } from '../../contracts/scaling.js';
import { evaluateSoak, type SoakVerdict } from '../../domain/scaling/soak.js';
import { stabilityScore } from '../../domain/stability/score.js';
import {
  clusterWithMembers,
  endOperation,
  findCluster,
  saveStep,
  stepResult,
  type ClusterRow,
} from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import {
  blockRecommendation,
  lastScores,
  recordOutcome,
  saveScores,
  withdrawCapacityRequests,
} from '../../stores/resources/index.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import type { AssessedNeeds } from './assess-needs.js';
import { readStability } from './read-facts.js';
import { rulesOf } from './rules.js';

export interface VerifyStabilityInput {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
  readonly needs: AssessedNeeds;
  readonly joined: readonly string[];
  readonly left: readonly string[];
  /** Members that could not be had, and that the next assessments try for again. */
  readonly waitedFor: number;
  /** Null when nothing was changed or nothing is to be watched. */
  readonly soak: {
    /** Scores from this moment on count, epoch ms. */
    readonly sinceMs: number;
    readonly direction: 'out' | 'in';
    readonly from: number;
    readonly desired: number;
    readonly mayWait: boolean;
    readonly rolledBack: boolean;
  } | null;
  /** What there is to say where nothing is watched. */
  readonly outcome: ScalingOutcome;
  readonly verdict: string;
}

export type VerifiedStability =
  | { readonly state: 'waiting'; readonly score: number | null; readonly samples: number; readonly needed: number }
  | { readonly state: 'roll_back'; readonly why: string; readonly to: number; readonly score: number | null }
  | { readonly state: 'ended'; readonly result: ScalingResult };

/**
 * Step 4 of scale_cluster: takes the stability score, judges the change by the last ones, and ends the operation. Called
 * once a sample; the time in between is the workflow's.
 */
export const verifyStability = (deps: ActivityDeps) =>
  asActivity(async (input: VerifyStabilityInput): Promise<VerifiedStability> => {
    const { soak, clusterId, operationId } = input;
    if (!soak) {
      const isChanged = input.joined.length + input.left.length > 0;
      // What was assessed a moment ago and left as it was has the score it had.
      const score = isChanged
        ? await takeScore(deps, await findCluster(deps.clusters, clusterId))
        : input.needs.scoreBefore;
      return end(deps, input, { score, outcome: input.outcome, verdict: input.verdict });
    }
    const { score, ...judged } = await judge(deps, input, soak);
    if (judged.verdict === 'gone') {
      return end(deps, input, { score, outcome: input.outcome, verdict: `not watched to the end: ${judged.why}` });
    }
    if (judged.verdict === 'waiting') {
      return { state: 'waiting', score, samples: judged.samples, needed: judged.needed };
    }
    if (judged.verdict === 'passed') {
      const outcome = soak.rolledBack ? 'rolled_back' : input.outcome;
      return end(deps, input, { score, outcome, verdict: `passed: ${judged.why}` });
    }
    await blockRecommendation(deps.resources, { clusterId, ...judged.block, reason: `${operationId}: ${judged.why}` });
    failpoint('verifyStability:blocked');
    if (judged.verdict === 'roll_back') return { state: 'roll_back', why: judged.why, to: judged.to, score };
    return end(deps, input, { score, outcome: 'failed', verdict: `failed: ${judged.why}` });
  });

type Judged = (SoakVerdict | { readonly verdict: 'gone'; readonly why: string }) & { readonly score: number | null };

/**
 * Takes a score and judges by it. A change is judged once: an attempt that comes again, or a workflow that was started
 * again, must not find otherwise what was acted upon already.
 */
async function judge(
  deps: ActivityDeps,
  { operationId, clusterId, needs }: VerifyStabilityInput,
  soak: NonNullable<VerifyStabilityInput['soak']>,
): Promise<Judged> {
  const { clusters, resources, settings } = deps;
  const key = { operationId, step: 'verifyStability:judged', round: soak.rolledBack ? 1 : 0 };
  const known = await stepResult<Judged>(clusters, key);
  if (known) return known;
  const cluster = await findCluster(clusters, clusterId);
  if (cluster?.state !== 'active') {
    return { verdict: 'gone', why: `the cluster is ${cluster?.state ?? 'gone'}`, score: null };
  }
  const score = await takeScore(deps, cluster);
  const scores = (await lastScores(resources, clusterId, 100)).filter(({ atMs }) => atMs >= soak.sinceMs);
  const watched = {
    ...soak,
    min: cluster.spec.size.min,
    before: needs.scoreBefore,
    scores: scores.map((row) => row.score),
  };
  const judged = { ...evaluateSoak(watched, Date.now(), rulesOf(settings)), score };
  if (judged.verdict === 'waiting') return judged;
  return saveStep<Judged>(clusters, key, thisAttempt(), async () => judged);
}

async function takeScore(deps: ActivityDeps, cluster: ClusterRow | undefined): Promise<number | null> {
  if (!cluster) return null;
  const atMs = Date.now();
  const { stability } = await readStability(deps, [cluster]);
  const score = stabilityScore(stability(cluster));
  await saveScores(deps.resources, [{ clusterId: cluster.id, atMs, ...score, parts: { ...score.parts } }]);
  return score.score;
}

async function end(
  { clusters, resources }: ActivityDeps,
  { operationId, clusterId, needs, joined, left, waitedFor }: VerifyStabilityInput,
  {
    score,
    outcome,
    verdict,
  }: { readonly score: number | null; readonly outcome: ScalingOutcome; readonly verdict: string },
): Promise<VerifiedStability> {
  const { cluster, members = [] } = (await clusterWithMembers(clusters, clusterId)) ?? {};
  const result: ScalingResult = {
    clusterId,
    decisionId: needs.decisionId,
    outcome,
    from: needs.from,
    desired: needs.desired,
    size: members.filter(({ state }) => state === 'active').length,
    epoch: cluster?.epoch ?? needs.epoch,
    joined: [...joined],
    left: [...left],
    scoreBefore: needs.scoreBefore,
    scoreAfter: score,
    explanation: needs.explanation,
    verdict,
  };
  const key = { operationId, step: 'verifyStability', round: 0 };
  return saveStep<VerifiedStability>(clusters, key, thisAttempt(), async (tx) => {
    await withdrawCapacityRequests(resources, operationId);
    await recordOutcome(resources, needs.decisionId, outcome, { operationId, verdict, joined, left, waitedFor });
    await endOperation(tx, operationId, { state: 'completed', event: `cluster.scaling.${outcome}`, result });
    return { state: 'ended', result };
  });
}
