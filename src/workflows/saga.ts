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

type Undo = 'releaseAgents' | 'withdrawCluster' | 'closeConnections' | 'retireCluster';

/**
 * Refusals of the first step before anything was written: there is nothing to undo, and the operation of that id may be
 * another's. A queued request that meets one later, since the settings were tightened meanwhile, is undone like any.
 */
const neverBegan: ReadonlySet<ErrorCode> = new Set(['invalid_request', 'capability_disabled', 'idempotency_conflict']);

/** What a started operation must undo if it fails, in the order it was begun. */
export interface Saga {
  /** Call it before the step: a step that timed out may still have happened. */
  readonly undoWith: (undo: Undo) => void;
  /** Undoes in reverse, settles the operation, and gives back the failure to throw. */
  readonly fail: (error: unknown) => Promise<unknown>;
}

export function startSaga(ids: { readonly operationId: OperationId; readonly clusterId: ClusterId }): Saga {
  const begun: Undo[] = [];
  return {
    undoWith: (undo) => {
      if (!begun.includes(undo)) begun.push(undo);
    },
    fail: async (error) => {
      const outcome = outcomeOf(error);
      if (begun.length <= 1 && neverBegan.has(outcome.code)) return error;
      setCurrentDetails(`**Undoing** after ${outcome.code}: ${outcome.detail}`);
      await CancellationScope.nonCancellable(async () => {
        for (const undo of begun.toReversed()) await compensations[undo](ids);
        const { state, code, detail } = outcome;
        await compensations.settleOperation({ ...ids, state, error: { code, detail } });
      });
      setCurrentDetails(`**${outcome.state}**: ${outcome.detail}`);
      return toFailure(outcome, error);
    },
  };
}

interface Outcome {
  readonly state: 'compensated' | 'refused' | 'cancelled';
  readonly code: ErrorCode;
  readonly detail: string;
}

function outcomeOf(error: unknown): Outcome {
  if (isCancellation(error)) {
    return {
      state: 'cancelled',
      code: 'cancelled',
      detail: 'The operation was cancelled; what it had done was undone',
    };
  }
  const cause = error instanceof ActivityFailure ? error.cause : error;
  if (cause instanceof ApplicationFailure) {
    const code = codeOfFailureType(cause.type);
    if (code) return { state: code === 'insufficient_agents' ? 'refused' : 'compensated', code, detail: cause.message };
  }
  if (cause instanceof TimeoutFailure) {
    const step = error instanceof ActivityFailure ? error.activityType : 'a step';
    const last = cause.cause instanceof Error ? `; its last failure: ${cause.cause.message}` : '';
    return {
      state: 'compensated',
      code: 'deadline_exceeded',
      detail: `${step} did not end before the deadline${last}`,
    };
  }
  log.error('An operation failed for a reason it does not know', { error: cause });
  return { state: 'compensated', code: 'internal', detail: cause instanceof Error ? cause.message : String(cause) };
}

/** Callers match on the failure's type, so a refusal leaves the workflow under its own and not wrapped in an activity's. */
const toFailure = ({ state, code, detail }: Outcome, error: unknown): unknown =>
  state === 'cancelled'
    ? error
    : ApplicationFailure.create({ type: failureTypeOf(code), message: detail, nonRetryable: true });
