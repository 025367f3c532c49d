import type { OperationIds } from '../../contracts/ids.js';
import type { ScalingOutcome, ScalingResult } from '../../contracts/scaling.js';
import { clusterWithMembers, endOperation, saveStep } from '../../stores/clusters/index.js';
import { recordOutcome, withdrawCapacityRequests } from '../../stores/resources/index.js';
import { thisAttempt } from '../shared/as-activity.js';
import type { ScalingDeps } from '../deps.js';
import { readCapacityRequest } from './answer-capacity-request.js';
import { takeScore } from './read-facts.js';
import { readScalingRun, type ScalingRun } from './scaling-run.js';

/**
 * Ends a scaling: records the outcome of its decision and the operation's result, which follow from the saved steps. The
 * record is that of the fourth step, so that a settled scaling shows all its steps as completed.
 */
export async function settleScaling(
  deps: ScalingDeps,
  { operationId, clusterId }: OperationIds,
): Promise<ScalingResult> {
  const { clusters, resources } = deps;
  const run = await readScalingRun(clusters, operationId);
  const { changes, lastRound } = run;
  const { decisionId, from, desired, scoreBefore, explanation, epoch } = run.needs;
  const joined = changes.flatMap((change) => change.joined);
  const left = changes.flatMap((change) => change.left);
  const conclusion = await conclude(deps, run);
  const { outcome, verdict, unmet } = conclusion;
  const { cluster, members = [] } = (await clusterWithMembers(clusters, clusterId)) ?? {};
  const hasChanged = joined.length + left.length > 0;
  // A cluster that was left as it was assessed a moment ago still has that score.
  const scoreNow = () => (hasChanged && cluster ? takeScore(deps, cluster) : scoreBefore);
  const scoreAfter = conclusion.score === undefined ? await scoreNow() : conclusion.score;
  const result: ScalingResult = {
    ...{ clusterId, decisionId, outcome, from, desired, joined, left, scoreBefore, scoreAfter, explanation, verdict },
    size: members.filter(({ state }) => state === 'active').length,
    epoch: cluster?.epoch ?? epoch,
  };
  // Both are idempotent, so a later attempt writes the same.
  if (lastRound >= 0) await withdrawCapacityRequests(resources, operationId);
  await recordOutcome(resources, decisionId, outcome, { operationId, verdict, joined, left, waitedFor: unmet });
  const key = { operationId, step: 'verifyStability', round: 0 };
  return saveStep<ScalingResult>(clusters, key, thisAttempt(), async (tx) => {
    await endOperation(tx, operationId, { state: 'completed', event: `cluster.scaling.${outcome}`, result });
    return result;
  });
}

interface Conclusion {
  readonly outcome: ScalingOutcome;
  readonly verdict: string;
  /** Members that could not be allocated and that later assessments add to their formula. */
  readonly unmet: number;
  /** The score of the last soak sample; undefined without a soak. */
  readonly score: number | null | undefined;
}

async function conclude({ resources }: ScalingDeps, run: ScalingRun): Promise<Conclusion> {
  const rollback = run.verdict(1);
  const soaked = rollback ?? run.verdict(0);
  const scalingRound = run.verdict(0)?.verdict === 'roll_back' ? run.lastRound - 1 : run.lastRound;
  const last = run.allocated(scalingRound);
  const missing = last?.missing ?? 0;
  const answer = last?.capacityRequest ? await readCapacityRequest({ resources }, last.capacityRequest) : undefined;
  const changed = run.changes.reduce((sum, { joined, left }) => sum + joined.length + left.length, 0);
  const outcome = changed === 0 ? 'unchanged' : missing > 0 ? 'partial' : 'scaled';
  const score = soaked?.score;
  const unmet = answer?.state === 'denied' || run.verdict(0)?.verdict === 'roll_back' ? 0 : missing;
  if (!soaked) {
    const unanswered = missing > 0 ? `${missing} more were wanted: ${last?.reason ?? ''}` : '';
    const answered = answer && `the orchestrator's answer is ${answer.state}${answer.reason && `: ${answer.reason}`}`;
    return {
      outcome,
      verdict: answered || unanswered || (changed === 0 ? 'nothing was changed' : 'changed'),
      unmet,
      score,
    };
  }
  const why = 'why' in soaked ? soaked.why : '';
  if (soaked.verdict === 'gone') return { outcome, verdict: `not observed to the end: ${why}`, unmet, score };
  if (soaked.verdict !== 'passed') return { outcome: 'failed', verdict: `failed: ${why}`, unmet, score };
  return { outcome: rollback ? 'rolled_back' : outcome, verdict: `passed: ${why}`, unmet, score };
}
