import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  setCurrentDetails,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { AdjustClusterInput } from '../activities/scaling/adjust-cluster.js';
import type { WantedChange } from '../activities/scaling/allocate-resources.js';
import type { AssessedNeeds } from '../activities/scaling/assess-needs.js';
import type { VerifyStabilityInput } from '../activities/scaling/verify-stability.js';
import { codeOfFailureType, type ErrorCode } from '../contracts/errors.js';
import type { ClusterId, OperationId } from '../contracts/ids.js';
import type { ScalingOutcome, ScalingResult } from '../contracts/scaling.js';
import type { ScaleClusterInput } from '../contracts/workflow-inputs.js';
import { scalingSteps, compensations } from './activity-options.js';
import { handleCapacityAnswers, waitForCapacityAnswer } from './capacity-request.js';
import { describeRun } from './describe-run.js';
import { wakeUps, type WakeUps } from './waiting.js';

interface Ids {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId;
}

/** What the rounds of a run have changed so far. */
interface Changed {
  readonly joined: string[];
  readonly left: string[];
}

/**
 * scale_cluster: what a cluster needs, what it may have, the change, and whether it does the cluster good; all waits are
 * durable timers. What the fleet cannot give is asked of the orchestrator, and the run waits for the answer.
 */
export async function scaleCluster(request: ScaleClusterInput): Promise<ScalingResult> {
  const { workflowId } = workflowInfo();
  const operationId: OperationId = request?.requestId ?? workflowId.replace(/^scaling\//, '');
  const ids: Ids = { operationId, clusterId: String(request?.clusterId ?? '') };
  const wakes = wakeUps();
  handleCapacityAnswers(operationId, wakes);
  describeRun('scaling', {
    ...(ids.clusterId === '' ? {} : { clusterId: ids.clusterId }),
    doing: `Assessing what ${ids.clusterId} needs`,
  });
  try {
    const needs = await scalingSteps(`what ${ids.clusterId} needs`).assessNeeds({ operationId, workflowId, request });
    setCurrentDetails(`**${needs.explanation}**`);
    return await carryOut(ids, { needs, request, wakes });
  } catch (error) {
    throw await compensate(ids, error);
  }
}

interface Run {
  readonly needs: AssessedNeeds;
  readonly request: ScaleClusterInput;
  readonly wakes: WakeUps;
}

async function carryOut(ids: Ids, { needs, request, wakes }: Run): Promise<ScalingResult> {
  const changed: Changed = { joined: [], left: [] };
  const { direction, desired, victims } = needs;
  const cause = needs.because === 'asked' ? 'asked' : needs.because === 'below_minimum' ? 'replacement' : 'scaling';
  let round = 0;
  let missing = 0;
  let isDenied = false;
  let answer = '';
  for (; ; round += 1) {
    const step = { ...ids, round, direction, cause, charged: needs.charged, epoch: needs.epoch } as const;
    const isAsked = needs.because === 'asked';
    const allocated = await change(step, { direction, desired, victims }, { changed, wakes, isAsked, mayAsk: true });
    missing = allocated.missing;
    if (!allocated.asked) {
      answer = missing > 0 ? `${missing} more were wanted: ${allocated.reason}` : '';
      break;
    }
    const standing = await waitForCapacityAnswer(allocated.asked, wakes);
    answer = `the orchestrator's answer is ${standing.state}${standing.reason === '' ? '' : `: ${standing.reason}`}`;
    isDenied = standing.state === 'denied';
    if (standing.state !== 'granted') break;
  }
  const moved = changed.joined.length + changed.left.length;
  const outcome: ScalingOutcome = moved === 0 ? 'unchanged' : missing > 0 ? 'partial' : 'scaled';
  const settled = {
    ids,
    needs,
    changed,
    outcome,
    waitedFor: isDenied ? 0 : missing,
    verdict: answer || (moved === 0 ? 'nothing was changed' : 'changed'),
  };
  const seconds = direction === 'none' || moved === 0 ? 0 : (request.soakSeconds ?? needs.soakSeconds);
  if (seconds === 0 || direction === 'none') return end(settled);
  const watched = await soak({ ...settled, direction, seconds, rolledBack: false });
  if (watched.state === 'ended') return watched.result;
  return rollBack({ ...settled, direction, seconds, round: round + 1, why: watched.why, to: watched.to, wakes });
}

/** One round: what may be had, and the change that it allows. */
async function change(
  step: AdjustClusterInput,
  wanted: WantedChange,
  {
    changed,
    wakes,
    isAsked,
    mayAsk,
  }: { readonly changed: Changed; readonly wakes: WakeUps; readonly isAsked: boolean; readonly mayAsk: boolean },
) {
  const { operationId, clusterId, round } = step;
  const allocated = await scalingSteps(`${wanted.direction}: ${wanted.desired} members`).allocateResources({
    operationId,
    clusterId,
    round,
    change: wanted,
    isAsked,
    mayAsk,
  });
  const { joining, leaving } = allocated.plan ?? { joining: [], leaving: [] };
  for (;;) {
    const summary =
      joining.length + leaving.length === 0
        ? 'nobody joins or leaves'
        : `${joining.length} join, ${leaving.length} leave`;
    const adjusted = await scalingSteps(summary).adjustCluster(step);
    if (adjusted.waitSeconds === null) {
      changed.joined.push(...adjusted.joined);
      changed.left.push(...adjusted.left);
      return allocated;
    }
    setCurrentDetails(`**Adjusting**: ${adjusted.doing}`);
    await wakes.orAfter(adjusted.waitSeconds, adjusted.doing.slice(0, 200));
  }
}

interface Settled {
  readonly ids: Ids;
  readonly needs: AssessedNeeds;
  readonly changed: Changed;
  readonly outcome: ScalingOutcome;
  readonly waitedFor: number;
  readonly verdict: string;
}

const inputOf = (
  { ids, needs, changed, outcome, waitedFor, verdict }: Settled,
  soaked: VerifyStabilityInput['soak'],
) => ({
  ...ids,
  needs,
  joined: [...changed.joined],
  left: [...changed.left],
  outcome,
  waitedFor,
  verdict,
  soak: soaked,
});

async function end(settled: Settled): Promise<ScalingResult> {
  const found = await scalingSteps(settled.verdict).verifyStability(inputOf(settled, null));
  if (found.state !== 'ended') throw new Error(`A run without a soak is ${found.state}`);
  setCurrentDetails(`**${found.result.outcome}**: ${settled.needs.explanation} ${settled.verdict}`);
  return found.result;
}

const samples = 3;

/** Watches a change: waits, then takes as many scores as must pass, evenly over the last part of the soak. */
async function soak(
  settled: Settled & {
    readonly direction: 'out' | 'in';
    readonly seconds: number;
    readonly rolledBack: boolean;
  },
) {
  const { direction, seconds, rolledBack, needs } = settled;
  const sinceMs = Date.now();
  for (let taken = 0; ; taken += 1) {
    setCurrentDetails(`**Soaking** for ${seconds} s, ${taken} of ${samples} scores taken`);
    await sleep((seconds * 1_000) / samples, { summary: `soak, until score ${taken + 1} of ${samples}` });
    const found = await scalingSteps(`score ${taken + 1} of ${samples}`).verifyStability(
      inputOf(settled, {
        sinceMs,
        direction,
        from: needs.from,
        desired: needs.desired,
        mayWait: taken + 1 < samples,
        rolledBack,
      }),
    );
    if (found.state === 'waiting') continue;
    if (found.state === 'ended') setCurrentDetails(`**${found.result.outcome}**: ${found.result.verdict}`);
    return found;
  }
}

/** Back to the size before, once. What fails then stays as it is, blocked, and says so. */
async function rollBack(
  settled: Settled & {
    readonly direction: 'out' | 'in';
    readonly seconds: number;
    readonly round: number;
    readonly why: string;
    readonly to: number;
    readonly wakes: WakeUps;
  },
): Promise<ScalingResult> {
  const { ids, direction, round, changed, why, to, wakes } = settled;
  setCurrentDetails(`**Rolling back** to ${to}: ${why}`);
  const back: WantedChange =
    direction === 'out'
      ? { direction: 'in', desired: to, victims: [...changed.joined] }
      : { direction: 'out', desired: to, victims: [] };
  const step = {
    ...ids,
    round,
    direction: back.direction,
    cause: 'rollback',
    charged: 0,
    epoch: settled.needs.epoch,
  } as const;
  await change(step, back, {
    changed,
    wakes,
    isAsked: true,
    mayAsk: false,
  });
  const watched = await soak({ ...settled, waitedFor: 0, verdict: `rolled back: ${why}`, rolledBack: true });
  if (watched.state === 'ended') return watched.result;
  throw new Error(`A rollback is ${watched.state}`);
}

/** Refusals from before anything was written: the operation of that id may be another's. */
const neverBegan: ReadonlySet<ErrorCode> = new Set(['invalid_request', 'capability_disabled', 'idempotency_conflict']);

/** Gives back what was reserved and settles the operation. @returns what to throw. */
async function compensate(ids: Ids, error: unknown): Promise<unknown> {
  const cause = error instanceof ActivityFailure ? error.cause : error;
  const isCancelled = isCancellation(error);
  const code = (cause instanceof ApplicationFailure ? codeOfFailureType(cause.type) : undefined) ?? 'internal';
  if (!isCancelled && neverBegan.has(code)) return cause ?? error;
  const told = isCancelled
    ? {
        code: 'cancelled',
        detail: 'The operation was cancelled; who had joined stays, what was reserved was given back',
      }
    : { code, detail: cause instanceof Error ? cause.message : String(cause) };
  setCurrentDetails(`**Giving back** after ${told.code}: ${told.detail}`);
  await CancellationScope.nonCancellable(async () => {
    await compensations.undoScaling({ ...ids, error: told });
    const state = isCancelled
      ? ('cancelled' as const)
      : refusals.has(code)
        ? ('refused' as const)
        : ('compensated' as const);
    await compensations.settleOperation({ ...ids, state, error: told });
  });
  setCurrentDetails(`**${told.code}**: ${told.detail}`);
  return isCancelled ? error : (cause ?? error);
}

const refusals: ReadonlySet<ErrorCode> = new Set(['not_found', 'insufficient_agents']);
