/** A registration as the server granted it. */
export interface Grant {
  readonly token: string;
  readonly leaseMs: number;
  readonly heartbeatMs: number;
  /** When the question was sent, by the agent's own clock: counted from there a lease never ends too late. */
  readonly askedAtMs: number;
}

/**
 * Whether the manager counts on this agent now: its own token and the end of its lease, by a clock that nobody sets.
 * The keeper writes it; whoever acts in the agent's name asks it first.
 */
export interface Standing {
  /** The agent's own token while its lease holds, else undefined. */
  token(): string | undefined;
  /** The own token even after the lease lapsed: it may still be good for registering again. */
  lastToken(): string | undefined;
  /** By the agent's own clock, ms. */
  leaseEndsAtMs(): number;
  heartbeatMs(): number;
  /** Since the last answer that renewed the lease, ms. */
  silentMs(): number;
  /** True when the lease ran out, false when it was given up before. */
  isLapsed(): boolean;
  /** Aborted when the next registration replaces the present one, or none will: a question asked with the old token ends then. */
  signal(): AbortSignal;
  hold(grant: Grant): void;
  renew(token: string, askedAtMs: number): void;
  /** Gives the standing up; with a token only if it is still that one. `refused`: the token is worth nothing any more. */
  lose(options?: { readonly token?: string; readonly refused?: boolean }): void;
  /** Gives it up for good. */
  close(): void;
  /** Resolves with the token once the lease is held; undefined when aborted first. */
  whenHeld(signal: AbortSignal): Promise<string | undefined>;
}

export function createStanding(nowMs: () => number): Standing {
  let grant: Grant | undefined;
  let renewedAtMs = 0;
  let held = false;
  let holding = new AbortController();
  const waiting = new Set<() => void>();
  const leaseEndsAtMs = (): number => renewedAtMs + (grant?.leaseMs ?? 0);
  const token = (): string | undefined => (held && nowMs() < leaseEndsAtMs() ? grant?.token : undefined);
  const wake = (): void => {
    for (const look of waiting) look();
  };
  return {
    token,
    lastToken: () => grant?.token,
    leaseEndsAtMs,
    heartbeatMs: () => grant?.heartbeatMs ?? 5000,
    silentMs: () => Math.round(nowMs() - renewedAtMs),
    isLapsed: () => held && nowMs() >= leaseEndsAtMs(),
    signal: () => holding.signal,
    hold: (given) => {
      holding.abort(new Error('The agent registered again'));
      holding = new AbortController();
      grant = given;
      renewedAtMs = given.askedAtMs;
      held = true;
      wake();
    },
    renew: (given, askedAtMs) => {
      if (!held || given !== grant?.token) return;
      renewedAtMs = Math.max(renewedAtMs, askedAtMs);
      // An answer that comes after the old lease lapsed, to a question asked before, makes it hold again.
      wake();
    },
    lose: ({ token: of, refused = false } = {}) => {
      if (of !== undefined && of !== grant?.token) return;
      held = false;
      if (refused) grant = undefined;
    },
    close: () => {
      held = false;
      holding.abort(new Error('The agent was stopped'));
    },
    whenHeld: (signal) =>
      new Promise((resolve) => {
        const look = (): void => {
          const now = token();
          if (now === undefined && !signal.aborted) return;
          waiting.delete(look);
          signal.removeEventListener('abort', look);
          resolve(signal.aborted ? undefined : now);
        };
        waiting.add(look);
        signal.addEventListener('abort', look);
        look();
      }),
  };
}
