import { errorTable, ManagerError } from '../contracts/errors.js';
import { asError, hasCode, type AgentContext } from './context.js';
import { backoffMs, jittered, pause } from './pause.js';
import { learnFromBeat } from './learn.js';

const retry = { baseMs: 250, capMs: 3000 };
/** For refusals that only a person can end, such as a revoked enrolment token. */
const refusedRetry = { baseMs: 2000, capMs: 30_000 };
/** An agent that held its standing this long has no quarrel over its id. */
const settledMs = 60_000;

/**
 * Keeps one agent registered and its lease renewed until aborted.
 * @param onFirst called once: after the first registration, or with the refusal that ends the loop.
 */
export async function keepRegistered(
  context: AgentContext,
  signal: AbortSignal,
  onFirst: (refusal?: Error) => void,
): Promise<void> {
  const { settings, standing, nowMs } = context;
  let losses = 0;
  for (let again = false; !signal.aborted; again = true) {
    const refusal = await register(context, signal, again);
    if (!again) onFirst(refusal);
    if (refusal || signal.aborted) return;
    const sinceMs = nowMs();
    await renewWhileHeld(context, signal);
    // An agent that stops keeps its standing for its last words.
    if (signal.aborted) return;
    standing.lose();
    losses = nowMs() - sinceMs > settledMs ? 0 : losses + 1;
    // Two processes with one id take it from each other for ever: each round of that waits longer than the last.
    const withinMs = settings.registerAgainWithinMs * 2 ** Math.min(Math.max(losses - 1, 0), 4);
    await pause(Math.random() * withinMs, signal);
  }
}

/** Tries until it is registered or aborted. @returns the refusal that no retry can turn, at the first registration only. */
async function register(context: AgentContext, signal: AbortSignal, again: boolean): Promise<Error | undefined> {
  const { api, settings, standing, events, logger, says, nowMs } = context;
  const { id } = settings.registration;
  for (let failures = 0; !signal.aborted;) {
    const askedAtMs = nowMs();
    const own = standing.lastToken();
    try {
      const { agent, token, leaseSeconds, heartbeatSeconds } = await api.register(
        own ?? settings.token,
        settings.registration,
        signal,
      );
      if (signal.aborted) return undefined;
      // The server answers with "ready"; what was said before holds on.
      says.readinessIsNews ||= says.readiness !== 'ready';
      standing.hold({ token, leaseMs: leaseSeconds * 1000, heartbeatMs: heartbeatSeconds * 1000, askedAtMs });
      logger.info({ agentId: id, incarnation: agent.incarnation }, 'agent registered');
      events.emit('registered', { incarnation: agent.incarnation, leaseSeconds, again });
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (own !== undefined && hasCode(error, 'unauthenticated')) {
        standing.lose({ token: own, refused: true });
        continue;
      }
      const refused = isRefusal(error);
      if (refused && !again) return asError(error);
      failures++;
      logger.warn({ agentId: id, failures, err: error }, 'agent could not register');
      if (refused || failures === 1) events.emit('error', asError(error));
      await pause(backoffMs(failures, refused ? refusedRetry : retry), signal);
    }
  }
  return undefined;
}

/** Refusals of the request itself: the same request again gets the same answer. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ManagerError && errorTable[error.code].status < 500 && error.code !== 'too_many_requests';

/** Beats until the manager no longer knows this agent, or the lease ran out unrenewed. */
async function renewWhileHeld(context: AgentContext, signal: AbortSignal): Promise<void> {
  const { standing, events, logger, nudge, nowMs, settings } = context;
  const { id } = settings.registration;
  let failures = 0;
  for (;;) {
    const waitMs = failures > 0 ? backoffMs(failures, retry) : jittered(standing.heartbeatMs());
    const leftMs = standing.leaseEndsAtMs() - nowMs();
    await pause(Math.min(waitMs, Math.max(leftMs, 0)), signal, failures > 0 ? undefined : nudge);
    if (signal.aborted) return;
    const token = standing.token();
    if (token === undefined) {
      if (standing.isLapsed()) {
        const silentMs = standing.silentMs();
        logger.warn({ agentId: id, silentMs }, 'agent lost its lease');
        events.emit('lost-lease', { silentMs });
      }
      return;
    }
    const silentMs = standing.silentMs();
    try {
      await beat(context, token, signal);
      if (failures > 0) events.emit('reconnected', { silentMs });
      failures = 0;
    } catch (error) {
      if (signal.aborted) return;
      if (hasCode(error, 'unauthenticated', 'not_found')) {
        logger.warn({ agentId: id, err: error }, 'manager does not know the agent');
        events.emit('error', asError(error));
        return standing.lose({ token, refused: hasCode(error, 'unauthenticated') });
      }
      failures++;
      logger.warn({ agentId: id, failures, err: error }, 'heartbeat failed');
      if (failures === 1) events.emit('error', asError(error));
    }
  }
}

async function beat(context: AgentContext, token: string, signal: AbortSignal): Promise<void> {
  const { api, standing, says, nowMs } = context;
  const askedAtMs = nowMs();
  const { readiness, readinessIsNews } = says;
  // Shorter than the lease, so that one answer that got lost leaves time to ask again.
  const timeoutMs = Math.min(2 * standing.heartbeatMs(), Math.max(500, standing.leaseEndsAtMs() - askedAtMs));
  const heartbeat = { ...says.figures, ...(readinessIsNews ? { readiness } : {}) };
  const { epoch } = await api.beat(token, heartbeat, signal, timeoutMs);
  standing.renew(token, askedAtMs);
  if (readinessIsNews && says.readiness === readiness) says.readinessIsNews = false;
  await learnFromBeat(context, { token, epochs: epoch, askedAtMs }, signal);
}
