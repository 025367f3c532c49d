import {
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  setCurrentDetails,
  TimeoutFailure,
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

export interface SagaOptions {
  readonly operationId: OperationId;
  readonly clusterId: ClusterId | '';
  /** What remains of the operation after a cancellation, for its error detail. */
  readonly cancelledDetail: string;
  /** Whether a failure or cancellation with this code settles the operation; otherwise it is resumed later. Default: always. */
  readonly settles?: (code: ErrorCode) => boolean;
}

/** The compensation of one run, and the only way in which a failed run settles its operation. */
export interface Saga {
  /** Registers a compensation. Call it before the step: a step that timed out may still have happened. */
  readonly compensateWith: (compensation: Compensation) => void;
  /** Compensates in reverse order, settles the operation, and returns the failure to throw. */
  readonly fail: (error: unknown) => Promise<unknown>;
}

export function startSaga({ operationId, clusterId, cancelledDetail, settles = () => true }: SagaOptions): Saga {
  const registered: Compensation[] = [];
  return {
    compensateWith: (compensation) => {
      if (!registered.includes(compensation)) registered.push(compensation);
    },
    fail: async (error) => {
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
    },
  };
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
