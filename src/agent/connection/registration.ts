import { errorTable, ManagerError } from '../../contracts/errors.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';
import type { MembershipSync } from '../messaging/memberships.js';
import { backoffMs, defaultBackoff, jittered, sleep } from './backoff.js';

/** For refusals that only an operator can resolve, such as a revoked enrolment token. */
const refusedBackoff = { baseMs: 2000, capMs: 30_000 };
/** An agent that was registered this long does not compete with another process for its id. */
const stableMs = 60_000;

/**
 * Keeps one agent registered and its lease renewed until the agent stops.
 * @param onFirstResult called once: after the first registration, or with the refusal that ends the loop.
 */
export async function keepRegistered(
  context: AgentContext,
  memberships: MembershipSync,
  onFirstResult: (refusal?: Error) => void,
): Promise<void> {
  const { settings, lease, lifecycle, nowMs } = context;
  const { stopSignal } = lifecycle;
  let shortRegistrations = 0;
  for (let again = false; !stopSignal.aborted; again = true) {
    const refusal = await register(context, again);
    if (!again) onFirstResult(refusal);
    if (refusal || stopSignal.aborted) return;
    const registeredAtMs = nowMs();
    await renewLease(context, memberships);
    // An agent that stops keeps its lease, to send its last acks.
    if (stopSignal.aborted) return;
    lease.drop();
    shortRegistrations = nowMs() - registeredAtMs > stableMs ? 0 : shortRegistrations + 1;
    // Two processes with one id keep displacing each other. Each waits longer every time, so that the load stays low.
    const withinMs = settings.registerAgainWithinMs * 2 ** Math.min(Math.max(shortRegistrations - 1, 0), 4);
    await sleep(Math.random() * withinMs, stopSignal);
  }
}

/** Tries until registered or stopped. @returns the refusal that no retry can resolve, at the first registration only. */
async function register(context: AgentContext, again: boolean): Promise<Error | undefined> {
  const { agentId, settings, reported, api, lease, lifecycle, nowMs, events, logger } = context;
  const signal = lifecycle.stopSignal;
  for (let failures = 0; !signal.aborted;) {
    const sentAtMs = nowMs();
    const ownToken = lease.lastToken();
    try {
      const call = { token: ownToken ?? settings.token, signal };
      const { agent, token, leaseSeconds, heartbeatSeconds } = await api.request(
        'registerAgent',
        { body: settings.registration },
        call,
      );
      if (signal.aborted) return undefined;
      // Registering sets the readiness to "ready"; any other is sent again.
      reported.isReadinessPending ||= reported.readiness !== 'ready';
      lease.acquire({ token, leaseMs: leaseSeconds * 1000, heartbeatMs: heartbeatSeconds * 1000, sentAtMs });
      logger.info({ agentId, incarnation: agent.incarnation }, 'agent registered');
      events.emit('registered', { incarnation: agent.incarnation, leaseSeconds, again });
      return undefined;
    } catch (error) {
      if (signal.aborted) return undefined;
      if (ownToken !== undefined && hasCode(error, 'unauthenticated')) {
        // The own token was revoked: go on with the enrolment token.
        lease.drop({ token: ownToken, isTokenRefused: true });
        continue;
      }
      const isRefused = isRefusal(error);
      if (isRefused && !again) return asError(error);
      failures++;
      logger.warn({ agentId, failures, err: error }, 'agent could not register');
      if (isRefused || failures === 1) events.emit('error', asError(error));
      await sleep(backoffMs(failures, isRefused ? refusedBackoff : defaultBackoff), signal);
    }
  }
  return undefined;
}

/** Whether the manager refused the request itself: the same request again gets the same answer. */
const isRefusal = (error: unknown): boolean =>
  error instanceof ManagerError && errorTable[error.code].status < 500 && error.code !== 'too_many_requests';

/** Sends heartbeats until the manager no longer knows this agent, its lease expires, or the agent stops. */
async function renewLease(context: AgentContext, memberships: MembershipSync): Promise<void> {
  const { agentId, lease, lifecycle, heartbeatWake, nowMs, events, logger } = context;
  let failures = 0;
  for (;;) {
    const waitMs = failures > 0 ? backoffMs(failures) : jittered(lease.heartbeatMs());
    const leftMs = Math.max(lease.endsAtMs() - nowMs(), 0);
    await sleep(Math.min(waitMs, leftMs), lifecycle.stopSignal, failures > 0 ? undefined : heartbeatWake);
    if (lifecycle.stopSignal.aborted) return;
    const token = lease.token();
    const silentMs = lease.silentMs();
    if (token === undefined) {
      if (!lease.hasExpired()) return;
      logger.warn({ agentId, silentMs }, 'agent lost its lease');
      return events.emit('lost-lease', { silentMs });
    }
    try {
      await sendHeartbeat(context, memberships, token);
      if (failures > 0) events.emit('reconnected', { silentMs });
      failures = 0;
    } catch (error) {
      if (lifecycle.stopSignal.aborted) return;
      if (hasCode(error, 'unauthenticated', 'not_found')) {
        logger.warn({ agentId, err: error }, 'manager does not know the agent');
        events.emit('error', asError(error));
        return context.dropRefusedLease(token, error);
      }
      failures++;
      logger.warn({ agentId, failures, err: error }, 'heartbeat failed');
      if (failures === 1) events.emit('error', asError(error));
    }
  }
}

async function sendHeartbeat(context: AgentContext, memberships: MembershipSync, token: string): Promise<void> {
  const { agentId, api, lease, lifecycle, reported, nowMs } = context;
  const call = { token, signal: lifecycle.stopSignal };
  const sentAtMs = nowMs();
  const { readiness, isReadinessPending } = reported;
  // Shorter than the lease, so that another heartbeat fits in when one answer is lost.
  const timeoutMs = Math.min(2 * lease.heartbeatMs(), Math.max(500, lease.endsAtMs() - sentAtMs));
  const body = { ...reported.figures, ...(isReadinessPending ? { readiness } : {}) };
  const { epoch } = await api.request('heartbeat', { params: { id: agentId }, body }, { ...call, timeoutMs });
  lease.renew(token, sentAtMs);
  if (isReadinessPending && reported.readiness === readiness) reported.isReadinessPending = false;
  await memberships.onEpochs(epoch, sentAtMs, call);
}
