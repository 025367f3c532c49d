import type { RoundIds } from '../../contracts/ids.js';
import { evaluateSoak } from '../../domain/scaling/soak.js';
import { findCluster, saveStep, stepResult } from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { blockRecommendation, lastScores } from '../../stores/resources/index.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { ScalingDeps } from '../deps.js';
import { rulesOf, takeScore } from './read-facts.js';
import { readScalingRun, type SoakResult } from './scaling-run.js';

export interface VerifyStabilityInput extends RoundIds {
  /** 0 for the soak of the change, 1 for the soak of its rollback. */
  readonly round: number;
  /** Scores from this time on count, epoch ms. */
  readonly sinceMs: number;
  /** Whether no more samples follow; missing scores then count as failed. */
  readonly isLastSample: boolean;
}

export type VerifiedStability =
  | { readonly state: 'waiting'; readonly score: number | null; readonly samples: number; readonly needed: number }
  | { readonly state: 'roll_back'; readonly why: string; readonly to: number; readonly score: number | null }
  | { readonly state: 'passed' | 'failed' | 'gone'; readonly why: string; readonly score: number | null };

/**
 * Step 4 of scale_cluster: takes a stability score and evaluates the change by the scores since. Called once for each
 * sample; the workflow waits in between.
 */
export async function verifyStability(deps: ScalingDeps, input: VerifyStabilityInput): Promise<VerifiedStability> {
  const { clusterId, operationId } = input;
  const result = await evaluate(deps, input);
  const { score } = result;
  if (result.verdict === 'waiting') {
    return { state: 'waiting', score, samples: result.samples, needed: result.needed };
  }
  if (result.verdict === 'roll_back' || result.verdict === 'failed') {
    const block = { clusterId, ...result.block, reason: `${operationId}: ${result.why}` };
    await blockRecommendation(deps.resources, block);
    failpoint('verifyStability:blocked');
  }
  return result.verdict === 'roll_back'
    ? { state: 'roll_back', why: result.why, to: result.to, score }
    : { state: result.verdict, why: result.why, score };
}

/** A soak has one verdict: a repeated attempt or a restarted workflow must not contradict what was already acted upon. */
async function evaluate(deps: ScalingDeps, input: VerifyStabilityInput): Promise<SoakResult> {
  const { clusters, resources, settings } = deps;
  const { operationId, clusterId, round, sinceMs, isLastSample } = input;
  const key = { operationId, step: 'verifyStability:judged', round };
  const known = await stepResult<SoakResult>(clusters, key);
  if (known) return known;
  const cluster = await findCluster(clusters, clusterId);
  const save = (result: SoakResult) => saveStep<SoakResult>(clusters, key, thisAttempt(), async () => result);
  if (cluster?.state !== 'active') {
    return save({ verdict: 'gone', why: `the cluster is ${cluster?.state ?? 'gone'}`, score: null });
  }
  const { needs } = await readScalingRun(clusters, operationId);
  if (needs.direction === 'none') throw new Error(`Operation ${operationId} has no change to verify`);
  const score = await takeScore(deps, cluster);
  const scores = (await lastScores(resources, clusterId, 100)).filter(({ atMs }) => atMs >= sinceMs);
  const observed = {
    direction: needs.direction,
    from: needs.from,
    desired: needs.desired,
    min: cluster.spec.size.min,
    before: needs.scoreBefore,
    scores: scores.map((row) => row.score),
    mayWait: !isLastSample,
    rolledBack: round > 0,
  };
  const result = { ...evaluateSoak(observed, Date.now(), rulesOf(settings)), score };
  return result.verdict === 'waiting' ? result : save(result);
}
