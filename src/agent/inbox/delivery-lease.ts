import type { DeliveryView } from '../../contracts/inbox.js';
import { backoffMs, sleep } from '../connection/backoff.js';
import type { AgentContext } from '../context.js';
import { hasCode } from '../errors.js';

/** Length of a lease that was just extended but whose end is unknown, because the servers' clocks differ. */
const assumedLeaseMs = 30_000;

export type DeliveryLease = ReturnType<typeof keepDeliveryLease>;

/** Keeps the lease of one delivery: it is extended at half of its length until `stopExtending`. */
export function keepDeliveryLease(
  { api, lease, serverClock, lifecycle, nowMs, logger }: AgentContext,
  { id, leaseToken, leaseExpiresAt, message }: DeliveryView,
) {
  const released = new AbortController();
  const lost = new AbortController();
  const lostSignal: AbortSignal = lost.signal;
  const lose = (why: string): void => {
    logger.warn({ deliveryId: id, messageId: message.id, why }, 'delivery lease was lost');
    lost.abort(new Error(`The lease of delivery "${id}" was lost: ${why}`));
  };
  /** @returns when the extended lease ends; undefined while the agent is not registered. */
  const extend = async (): Promise<number | undefined> => {
    const token = lease.token();
    if (token === undefined) return undefined;
    const sentAtMs = nowMs();
    const input = { params: { id }, body: { leaseToken } };
    const extended = await api.request('extendDelivery', input, { token, signal: released.signal });
    const lengthMs = serverClock.until(extended.leaseExpiresAt);
    return lengthMs > 0 ? nowMs() + lengthMs : sentAtMs + assumedLeaseMs;
  };
  const keepExtending = async (firstEndMs: number, onVerified: () => void): Promise<void> => {
    let endsAtMs = firstEndMs;
    // A lease that appears to have expired on arrival is extended at once: only the server knows.
    let isUnverified = endsAtMs <= nowMs();
    for (let failures = 0; !released.signal.aborted;) {
      const leftMs = endsAtMs - nowMs();
      if (leftMs <= 0 && !isUnverified) return lose('it expired');
      const waitMs = failures > 0 ? Math.min(backoffMs(failures), leftMs) : leftMs / 2;
      if (!isUnverified) await sleep(waitMs, released.signal);
      if (released.signal.aborted) return;
      isUnverified = false;
      try {
        const extendedToMs = await extend();
        failures = extendedToMs === undefined ? failures + 1 : 0;
        endsAtMs = extendedToMs ?? endsAtMs;
        onVerified();
      } catch (error) {
        if (released.signal.aborted) return;
        if (hasCode(error, 'stale_lease', 'not_found'))
          return lose('the manager gave the delivery to another consumer or ended it');
        failures++;
        logger.debug({ deliveryId: id, err: error }, 'delivery lease could not be extended');
      }
    }
  };

  const lengthMs = serverClock.until(leaseExpiresAt);
  let markVerified = (): void => undefined;
  const verified = lengthMs > 0 ? Promise.resolve() : new Promise<void>((resolve) => (markVerified = resolve));
  lifecycle.stopSignal.addEventListener('abort', () => markVerified(), { once: true, signal: released.signal });
  void keepExtending(nowMs() + lengthMs, markVerified).finally(markVerified);
  return {
    /** Aborted when another consumer may have the delivery. */
    lost: lostSignal,
    /** Resolves once the lease is known to be held or lost: at once, unless it appeared to have expired on arrival. Also when the agent stops. */
    whenVerified: (): Promise<void> => verified,
    stopExtending: (): void => released.abort(),
  };
}
