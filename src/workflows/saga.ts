import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  setCurrentDetails,
  TimeoutFailure,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { codeOfFailureType, failureTypeOf, type ErrorCode } from '../contracts/errors.js';
import type { ClusterId, OperationId } from '../contracts/ids.js';
import { compensations } from './activity-options.js';

type Compensation = 'releaseAgents' | 'withdrawCluster' | 'closeConnections' | 'retireCluster' | 'compensateScaling';

/**
 * Refusals of the first step from before it wrote anything: there is nothing to compensate, and the operation of that id
 * may belong to another caller. A queued request can meet one in a later round; it is compensated like any other.
 */
const refusedBeforeStart: ReadonlySet<ErrorCode> = new Set([
  'invalid_request',
  'capability_disabled',
  'idempotency_conflict',
]);

/** Codes that refuse a request because of the fleet's or the cluster's state; every other failure was compensated. */
const refusals: ReadonlySet<ErrorCode> = new Set(['insufficient_agents', 'not_found']);

interface Saga {
  readonly component: 'formation' | 'communication' | 'scaling';
  readonly operationId: OperationId;
  readonly clusterId: ClusterId | '';
  /** What the Temporal UI shows of the run until its first step has ended. */
  readonly details: string;
  /** What remains of the operation after a cancellation, for its error detail. */
  readonly cancelledDetail: string;
  /** Whether a failure or cancellation with this code settles the operation; otherwise it is resumed later. Default: always. */
  readonly settles?: (code: ErrorCode) => boolean;
}

/**
 * Runs the steps of an operation. When one fails, compensates in reverse order, settles the operation and throws its failure.
 * @param steps registers each compensation before its step, because a step that timed out may still have happened.
 */
export async function runSaga<Result>(
  saga: Saga,
  steps: (compensateWith: (compensation: Compensation) => void) => Promise<Result>,
): Promise<Result> {
  const registered = new Set<Compensation>();
  describeRun(saga);
  try {
    return await steps((compensation) => registered.add(compensation));
  } catch (error) {
    throw await compensate(saga, [...registered], error);
  }
}

/** Sets the search attributes of a run that another SDK started without them, so that the Temporal UI finds it by its cluster. */
function describeRun({ component, clusterId, details }: Saga): void {
  if (!('Component' in workflowInfo().searchAttributes)) {
    const isIndexed = clusterId !== '' && clusterId.length <= 255;
    upsertSearchAttributes({ Component: [component], ...(isIndexed ? { ClusterId: [clusterId] } : {}) });
  }
  setCurrentDetails(details);
}

/** @returns the failure to throw. */
async function compensate(
  { operationId, clusterId, cancelledDetail, settles = () => true }: Saga,
  registered: readonly Compensation[],
  error: unknown,
): Promise<unknown> {
  const outcome = outcomeOf(error, { cancelledDetail, hasCompensations: registered.length > 0 });
  const { state, code, detail } = outcome;
  const hasStarted = !refusedBeforeStart.has(code) || registered.length > 1;
  if (hasStarted && settles(code)) {
    setCurrentDetails(`**Compensating** after ${code}: ${detail}`);
    await CancellationScope.nonCancellable(async () => {
      const input = { operationId, clusterId, error: { code, detail } };
      for (const compensation of registered.toReversed()) await compensations[compensation](input);
      await compensations.settleOperation({ ...input, state });
    });
    setCurrentDetails(`**${state}**: ${detail}`);
  }
  return state === 'cancelled' ? error : toFailure(outcome);
}

interface Outcome {
  readonly state: 'compensated' | 'refused' | 'cancelled';
  readonly code: ErrorCode;
  readonly detail: string;
  /** The refusal's problems, for the caller. */
  readonly details?: unknown[];
}

function outcomeOf(
  error: unknown,
  { cancelledDetail, hasCompensations }: { readonly cancelledDetail: string; readonly hasCompensations: boolean },
): Outcome {
  if (isCancellation(error)) return { state: 'cancelled', code: 'cancelled', detail: cancelledDetail };
  const failed = hasCompensations ? 'compensated' : 'refused';
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const code = codeOfFailureType(cause.type);
    const state = code && refusals.has(code) ? 'refused' : failed;
    if (code) return { state, code, detail: cause.message, details: cause.details ?? [] };
  }
  if (cause instanceof TimeoutFailure) {
    const step = error instanceof ActivityFailure ? error.activityType : 'a step';
    const last = cause.cause instanceof Error ? `; its last failure: ${cause.cause.message}` : '';
    return { state: failed, code: 'deadline_exceeded', detail: `${step} did not end before the deadline${last}` };
  }
  log.error('The operation failed with an unknown error', { error: cause });
  return { state: failed, code: 'internal', detail: cause instanceof Error ? cause.message : String(cause) };
}

/** Callers match on the failure's type, so a refusal leaves the workflow as its own type and not inside an ActivityFailure. */
const toFailure = ({ code, detail, details = [] }: Outcome): ApplicationFailure =>
  ApplicationFailure.create({ type: failureTypeOf(code), message: detail, details, nonRetryable: true });
