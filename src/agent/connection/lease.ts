import { createWakeSignal, sleep } from './backoff.js';

const idleMs = 60_000;

/** A registration as the server granted it. */
export interface Registration {
  readonly token: string;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** When the request was sent, by the agent's clock. A lease counted from then never ends too late. */
  readonly sentAtMs: number;
}

/**
 * The agent's registration lease: its own token and until when it is valid, by a monotonic clock. The registration loop
 * writes it; every call in the agent's name reads it first.
 */
export function createLease(nowMs: () => number) {
  let registration: Registration | undefined;
  let renewedAtMs = 0;
  let isHeld = false;
  let current = new AbortController();
  const renewed = createWakeSignal();
  const endsAtMs = (): number => renewedAtMs + (registration?.leaseMs ?? 0);
  const token = (): string | undefined => (isHeld && nowMs() < endsAtMs() ? registration?.token : undefined);
  return {
    /** The agent's own token while the lease is held, else undefined. */
    token,
    /** The own token even after the lease expired: the server may still accept it for registering again. */
    lastToken: (): string | undefined => registration?.token,
    /** By the agent's clock, ms. */
    endsAtMs,
    heartbeatMs: (): number => registration?.heartbeatMs ?? 5000,
    /** Time since the last answered request that renewed the lease was sent, ms. */
    silentMs: (): number => Math.round(nowMs() - renewedAtMs),
    /** True when the lease expired, false when it was dropped before. */
    hasExpired: (): boolean => isHeld && nowMs() >= endsAtMs(),
    /** Aborted when the next registration replaces this one, or the agent ends. Calls with the old token end with it. */
    registrationSignal: (): AbortSignal => current.signal,
    acquire: (next: Registration): void => {
      current.abort(new Error('The agent registered again'));
      current = new AbortController();
      registration = next;
      renewedAtMs = next.sentAtMs;
      isHeld = true;
      renewed.wake();
    },
    renew: (renewedToken: string, sentAtMs: number): void => {
      if (!isHeld || renewedToken !== registration?.token) return;
      renewedAtMs = Math.max(renewedAtMs, sentAtMs);
      // A late answer to a heartbeat that was sent in time makes an expired lease valid again.
      renewed.wake();
    },
    /** Drops the lease; with a token, only if that is still the present one. `isTokenRefused`: forgets the token, too. */
    drop: ({ token: of, isTokenRefused = false }: { token?: string; isTokenRefused?: boolean } = {}): void => {
      if (of !== undefined && of !== registration?.token) return;
      isHeld = false;
      if (isTokenRefused) registration = undefined;
    },
    /** Drops the lease for good. */
    close: (): void => {
      isHeld = false;
      current.abort(new Error('The agent was stopped'));
    },
    /** Resolves with the token once the lease is held, or with undefined when aborted first. */
    whenHeld: async (signal: AbortSignal): Promise<string | undefined> => {
      while (!signal.aborted) {
        const held = token();
        if (held !== undefined) return held;
        await sleep(idleMs, signal, renewed);
      }
      return undefined;
    },
  };
}
