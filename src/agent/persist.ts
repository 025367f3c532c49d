import { retryAfterMsOf } from '../contracts/api-call.js';
import { ManagerError } from '../contracts/errors.js';
import type { CallLimit } from './agent-api.js';
import { asError, hasCode, isPassing, type AgentContext } from './context.js';
import { linkSignals } from './linked-signal.js';
import { backoffMs, pause } from './pause.js';

const retry = { baseMs: 200, capMs: 3000 };
const callTimeoutMs = 15_000;
export const defaultTimeoutMs = 30_000;
/** A timer that is set to longer fires at once. */
export const longestTimerMs = 2_147_483_647;

/** How long a call may take, tries and waits together. */
export interface TimeLimit {
  /** Default 30,000. Higher outlasts a longer outage of the manager; lower tells the caller sooner. */
  readonly timeoutMs?: number | undefined;
  /** Ends the call at once with the signal's reason. What was asked may have been done. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks the manager in the agent's name, again while it does not answer, is too busy or does not know the agent yet, until
 * the time is over. The call must change nothing the second time. After the agent stopped: at most one try, within its grace.
 * @param what for the error: `Message "m1" could not be sent`.
 * @throws ManagerError the manager's refusal; `service_unavailable` or the last passing refusal when the time is over;
 * `state_conflict` when the agent was not started or has stopped.
 */
export async function persist<Answer>(
  context: AgentContext,
  what: string,
  { timeoutMs = defaultTimeoutMs, signal }: TimeLimit,
  ask: (token: string, limit: CallLimit) => Promise<Answer>,
): Promise<Answer> {
  const { standing, life, nowMs, settings, nudge } = context;
  const { id } = settings.registration;
  if (!life.hasBegun() || life.grace.aborted) {
    const why = life.hasBegun() ? 'was stopped' : 'is not started; start() it first';
    throw new ManagerError('state_conflict', `${what}: agent "${id}" ${why}`);
  }
  const endsAtMs = nowMs() + timeoutMs;
  const link = linkSignals(life.grace, signal);
  const timer = new AbortController();
  const over = setTimeout(() => timer.abort(), Math.min(timeoutMs, longestTimerMs));
  const waiting = linkSignals(life.signal, signal, timer.signal);
  let last: unknown;
  try {
    for (let failures = 0; ;) {
      const token = standing.token() ?? (await standing.whenHeld(waiting.signal));
      signal?.throwIfAborted();
      if (token === undefined) throw givenUp(context, what, last);
      try {
        const leftMs = endsAtMs - nowMs();
        return await ask(token, { signal: link.signal, timeoutMs: Math.max(1, Math.min(callTimeoutMs, leftMs)) });
      } catch (error) {
        signal?.throwIfAborted();
        if (life.grace.aborted) throw givenUp(context, what, error);
        if (hasCode(error, 'unauthenticated')) {
          standing.lose({ token, refused: true });
          nudge.nudge();
        } else if (!isPassing(error)) throw error;
        last = error;
        failures++;
        const waitMs = (retryAfterMsOf(error) ?? 0) + backoffMs(failures, retry);
        // Whoever waits for an answer that cannot come in time is told so now.
        if (life.signal.aborted || nowMs() + waitMs >= endsAtMs) throw givenUp(context, what, error);
        await pause(waitMs, waiting.signal);
        signal?.throwIfAborted();
      }
    }
  } finally {
    clearTimeout(over);
    link.release();
    waiting.release();
  }
}

function givenUp({ life, settings }: AgentContext, what: string, last: unknown): ManagerError {
  const { id } = settings.registration;
  if (life.signal.aborted) {
    return new ManagerError('state_conflict', `${what}: agent "${id}" was stopped meanwhile`, { cause: last });
  }
  const why = last === undefined ? `agent "${id}" was not registered in that time` : asError(last).message;
  const code = last instanceof ManagerError && last.code !== 'unauthenticated' ? last.code : 'service_unavailable';
  // What did not answer may have done what was asked.
  const maybe = hasCode(last, 'service_unavailable', 'internal') ? '; it may have been accepted all the same' : '';
  return new ManagerError(code, `${what} in time${maybe}: ${why}`, { cause: last });
}
