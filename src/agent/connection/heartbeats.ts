import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';
import type { MembershipSync } from '../messaging/memberships.js';
import { backoffMs, jittered, sleep } from './backoff.js';

/** Sends heartbeats until the manager no longer knows this agent, its lease expires, or the agent stops. */
export async function renewLease(context: AgentContext, memberships: MembershipSync): Promise<void> {
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
