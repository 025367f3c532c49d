import { activityInfo, ApplicationFailure, heartbeat } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { failureTypeOf, ManagerError, type ErrorCode } from '../../contracts/errors.js';
import type { Attempt } from '../../stores/clusters/index.js';

/** A refusal for one of these may be gone at the next attempt; every other refusal is final. */
const worthRetrying: ReadonlySet<ErrorCode> = new Set(['service_unavailable', 'internal']);

const heartbeatEveryMs = 1_000;

/**
 * Makes a function an activity: it heartbeats while it runs, so that Temporal notices a dead worker within seconds and
 * a cancelled workflow can reach it, and a refusal leaves it as a failure that callers in any SDK recognise by type.
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
    nonRetryable: !worthRetrying.has(error.code),
    // A refusal is an answer, not a fault: it must not fill logs and failure metrics.
    category: ApplicationFailureCategory.BENIGN,
    cause: error,
  });

/** Which attempt of the activity this is, for the record of its step. */
export const thisAttempt = (): Attempt => {
  const { attempt, currentAttemptScheduledTimestampMs } = activityInfo();
  return { number: attempt, startedAt: new Date(currentAttemptScheduledTimestampMs) };
};
