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
export interface AgentLease {
  /** The agent's own token while the lease is held, else undefined. */
  token(): string | undefined;
  /** The own token even after the lease expired: the server may still accept it for registering again. */
  lastToken(): string | undefined;
  /** By the agent's clock, ms. */
  endsAtMs(): number;
  heartbeatMs(): number;
  /** Time since the last answered request that renewed the lease was sent, ms. */
  silentMs(): number;
  /** True when the lease expired, false when it was dropped before. */
  hasExpired(): boolean;
  /** Aborted when the next registration replaces this one, or the agent ends. Calls with the old token end with it. */
  registrationSignal(): AbortSignal;
  acquire(registration: Registration): void;
  renew(token: string, sentAtMs: number): void;
  /** Drops the lease; with a token, only if that is still the present one. `isTokenRefused`: forgets the token, too. */
  drop(options?: { readonly token?: string; readonly isTokenRefused?: boolean }): void;
  /** Drops the lease for good. */
  close(): void;
  /** Resolves with the token once the lease is held, or with undefined when aborted first. */
  whenHeld(signal: AbortSignal): Promise<string | undefined>;
}

export function createLease(nowMs: () => number): AgentLease {
  let registration: Registration | undefined;
  let renewedAtMs = 0;
  let isHeld = false;
  let current = new AbortController();
  const waiters = new Set<() => void>();
  const endsAtMs = (): number => renewedAtMs + (registration?.leaseMs ?? 0);
  const token = (): string | undefined => (isHeld && nowMs() < endsAtMs() ? registration?.token : undefined);
  const notifyWaiters = (): void => {
    for (const notify of waiters) notify();
  };
  return {
    token,
    lastToken: () => registration?.token,
    endsAtMs,
    heartbeatMs: () => registration?.heartbeatMs ?? 5000,
    silentMs: () => Math.round(nowMs() - renewedAtMs),
    hasExpired: () => isHeld && nowMs() >= endsAtMs(),
    registrationSignal: () => current.signal,
    acquire: (next) => {
      current.abort(new Error('The agent registered again'));
      current = new AbortController();
      registration = next;
      renewedAtMs = next.sentAtMs;
      isHeld = true;
      notifyWaiters();
    },
    renew: (renewedToken, sentAtMs) => {
      if (!isHeld || renewedToken !== registration?.token) return;
      renewedAtMs = Math.max(renewedAtMs, sentAtMs);
      // A late answer to a heartbeat that was sent in time makes an expired lease valid again.
      notifyWaiters();
    },
    drop: ({ token: of, isTokenRefused = false } = {}) => {
      if (of !== undefined && of !== registration?.token) return;
      isHeld = false;
      if (isTokenRefused) registration = undefined;
    },
    close: () => {
      isHeld = false;
      current.abort(new Error('The agent was stopped'));
    },
    whenHeld: (signal) =>
      new Promise((resolve) => {
        const check = (): void => {
          const held = token();
          if (held === undefined && !signal.aborted) return;
          waiters.delete(check);
          signal.removeEventListener('abort', check);
          resolve(signal.aborted ? undefined : held);
        };
        waiters.add(check);
        signal.addEventListener('abort', check);
        check();
      }),
  };
}
