import { retryAfterMsOf } from '../../contracts/api-call.js';
import { ManagerError } from '../../contracts/errors.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode, isTransient } from '../errors.js';
import { linkSignals } from '../linked-signal.js';
import type { AgentCall } from './agent-api.js';
import { backoffMs, sleep } from './backoff.js';

const retryBackoff = { baseMs: 200, capMs: 3000 };
const attemptTimeoutMs = 15_000;
export const defaultTimeoutMs = 30_000;
/** A timer that is set to longer fires at once. */
export const longestTimerMs = 2_147_483_647;

/** How long a call may take, all attempts and waits together. */
export interface TimeLimit {
  /** Default 30,000. A higher value outlasts a longer outage of the manager; with a lower one the caller knows sooner. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call at once with the signal's reason. The manager may have executed it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Calls the manager in the agent's name. Retries while the manager does not answer, is overloaded or does not know the
 * agent yet, until the time limit. The call must be idempotent. After the agent stopped: at most one attempt, within the
 * grace period.
 * @param what begins the error message: `Message "m1" could not be sent`.
 * @throws ManagerError the manager's refusal; `service_unavailable` or the last transient refusal when the time is over;
 * `state_conflict` when the agent was not started or has stopped.
 */
export async function callWithRetry<Answer>(
  context: AgentContext,
  what: string,
  { timeoutMs = defaultTimeoutMs, signal }: TimeLimit,
  attempt: (call: AgentCall) => Promise<Answer>,
): Promise<Answer> {
  const { lease, lifecycle, nowMs } = context;
  assertRunning(context, what);
  const endsAtMs = nowMs() + timeoutMs;
  const callSignal = linkSignals(lifecycle.graceSignal, signal);
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), Math.min(timeoutMs, longestTimerMs));
  const waitSignal = linkSignals(lifecycle.stopSignal, signal, deadline.signal);
  let lastError: unknown;
  try {
    for (let failures = 0; ;) {
      const token = lease.token() ?? (await lease.whenHeld(waitSignal.signal));
      signal?.throwIfAborted();
      if (token === undefined) throw gaveUp(context, what, lastError);
      try {
        const attemptMs = Math.max(1, Math.min(attemptTimeoutMs, endsAtMs - nowMs()));
        return await attempt({ token, signal: callSignal.signal, timeoutMs: attemptMs });
      } catch (error) {
        signal?.throwIfAborted();
        if (lifecycle.graceSignal.aborted) throw gaveUp(context, what, error);
        if (hasCode(error, 'unauthenticated')) context.dropRefusedLease(token, error);
        else if (!isTransient(error)) throw error;
        lastError = error;
        failures++;
        const waitMs = (retryAfterMsOf(error) ?? 0) + backoffMs(failures, retryBackoff);
        // Fails now rather than at the deadline when no attempt can follow.
        if (lifecycle.stopSignal.aborted || nowMs() + waitMs >= endsAtMs) throw gaveUp(context, what, error);
        await sleep(waitMs, waitSignal.signal);
        signal?.throwIfAborted();
      }
    }
  } finally {
    clearTimeout(timer);
    callSignal.release();
    waitSignal.release();
  }
}

function assertRunning({ agentId, lifecycle }: AgentContext, what: string): void {
  if (lifecycle.hasStarted() && !lifecycle.graceSignal.aborted) return;
  const why = lifecycle.hasStarted() ? 'was stopped' : 'is not started; call start() first';
  throw new ManagerError('state_conflict', `${what}: agent "${agentId}" ${why}`);
}

function gaveUp({ agentId, lifecycle }: AgentContext, what: string, lastError: unknown): ManagerError {
  if (lifecycle.stopSignal.aborted) {
    return new ManagerError('state_conflict', `${what}: agent "${agentId}" was stopped`, { cause: lastError });
  }
  const why = lastError === undefined ? `agent "${agentId}" was not registered` : asError(lastError).message;
  const code =
    lastError instanceof ManagerError && lastError.code !== 'unauthenticated' ? lastError.code : 'service_unavailable';
  // A call whose answer did not arrive may have been executed.
  const maybe = hasCode(lastError, 'service_unavailable', 'internal') ? '; it may have been accepted' : '';
  return new ManagerError(code, `${what} in time${maybe}: ${why}`, { cause: lastError });
}
