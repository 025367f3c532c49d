import type { DeliveryView } from '../contracts/inbox.js';
import { hasCode, type AgentContext } from './context.js';
import { backoffMs, pause } from './pause.js';

const retry = { baseMs: 250, capMs: 3000 };
/** Of a lease that was prolonged just now but whose end cannot be told. */
const assumedLeaseMs = 30_000;

/** The lease of one delivery, prolonged at half of its length for as long as it is not released. */
export interface KeptLease {
  /** Aborted when another may have the delivery. */
  readonly lost: AbortSignal;
  /** Resolves once it is known whether the lease is held, at once unless it looked as if it were over; also when the agent stops. */
  whenSure(): Promise<void>;
  release(): void;
}

export function keepLease(
  { api, standing, clock, life, nowMs, logger }: AgentContext,
  { id, leaseToken, leaseExpiresAt, message }: DeliveryView,
): KeptLease {
  const released = new AbortController();
  const lost = new AbortController();
  const lose = (why: string): void => {
    logger.warn({ deliveryId: id, messageId: message.id, why }, 'delivery was lost');
    lost.abort(new Error(`The lease of delivery "${id}" was lost: ${why}`));
  };
  const prolong = async (): Promise<number | undefined> => {
    const token = standing.token();
    if (token === undefined) return undefined;
    const askedAtMs = nowMs();
    const answer = await api.extend(token, id, leaseToken, released.signal);
    const lengthMs = clock.until(answer.leaseExpiresAt);
    return lengthMs > 0 ? nowMs() + lengthMs : askedAtMs + assumedLeaseMs;
  };
  const keep = async (firstEndMs: number, isSure: () => void): Promise<void> => {
    let endsAtMs = firstEndMs;
    for (let failures = 0, isOver = endsAtMs <= nowMs(); !released.signal.aborted;) {
      const leftMs = endsAtMs - nowMs();
      if (leftMs <= 0 && !isOver) return lose('it ran out');
      if (!isOver)
        await pause(failures > 0 ? Math.min(backoffMs(failures, retry), leftMs) : leftMs / 2, released.signal);
      if (released.signal.aborted) return;
      isOver = false;
      try {
        const prolongedMs = await prolong();
        failures = prolongedMs === undefined ? failures + 1 : 0;
        endsAtMs = prolongedMs ?? endsAtMs;
        isSure();
      } catch (error) {
        if (released.signal.aborted) return;
        if (hasCode(error, 'stale_lease', 'not_found')) return lose('another attempt has it, or its time is over');
        failures++;
        logger.debug({ deliveryId: id, err: error }, 'lease could not be prolonged');
      }
    }
  };

  const lengthMs = clock.until(leaseExpiresAt);
  let isSure = (): void => undefined;
  const sure = lengthMs > 0 ? Promise.resolve() : new Promise<void>((resolve) => (isSure = resolve));
  life.signal.addEventListener('abort', () => isSure(), { once: true, signal: released.signal });
  void keep(nowMs() + lengthMs, isSure).finally(isSure);
  return { lost: lost.signal, whenSure: () => sure, release: () => released.abort() };
}
