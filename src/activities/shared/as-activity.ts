import { activityInfo, ApplicationFailure, heartbeat } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { failureTypeOf, ManagerError, type ErrorCode } from '../../contracts/errors.js';
import type { Attempt } from '../../stores/clusters/index.js';

/** Refusals that a later attempt may not meet again; every other refusal is final. */
const retryable: ReadonlySet<ErrorCode> = new Set(['service_unavailable', 'internal']);

const heartbeatEveryMs = 1_000;

/**
 * Makes a function an activity. It heartbeats while it runs, so that Temporal notices a dead worker within seconds and can
 * cancel the activity; a ManagerError becomes a failure whose type callers in any SDK recognise.
 */
export const asActivity =
  <Input, Output>(work: (input: Input) => Promise<Output>) =>
  async (input: Input): Promise<Output> => {
    const timer = setInterval(heartbeat, heartbeatEveryMs);
    try {
      return await work(input);
    } catch (error) {
      throw error instanceof ManagerError ? failureOf(error) : error;
    } finally {
      clearInterval(timer);
    }
  };

const failureOf = (error: ManagerError): ApplicationFailure =>
  ApplicationFailure.create({
    type: failureTypeOf(error.code),
    message: error.message,
    details: [error.problems],
    nonRetryable: !retryable.has(error.code),
    // A refusal is an expected answer: it must not fill logs and failure metrics.
    category: ApplicationFailureCategory.BENIGN,
    cause: error,
  });

/** The current attempt of the activity, for the record of its step. */
export const thisAttempt = (): Attempt => {
  const { attempt, currentAttemptScheduledTimestampMs } = activityInfo();
  return { number: attempt, startedAt: new Date(currentAttemptScheduledTimestampMs) };
};
