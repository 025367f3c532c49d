/** Wakes whoever pauses with it, now and not later: a nudge that nobody waits for is forgotten. */
export interface Nudge {
  nudge(): void;
  readonly waiting: Set<() => void>;
}

export function createNudge(): Nudge {
  const waiting = new Set<() => void>();
  return { waiting, nudge: () => waiting.forEach((wake) => wake()) };
}

/** Waits `ms`, or until aborted or nudged. Never throws: the loops that use it look at their signal themselves. */
export function pause(ms: number, signal: AbortSignal, nudge?: Nudge): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      nudge?.waiting.delete(done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    nudge?.waiting.add(done);
  });
}

/**
 * How long to wait before the next try: a random time up to a limit that doubles with each failure.
 * Spreading over the whole range keeps a thousand agents from coming back at once.
 * @param failures in a row so far, from 1.
 * @returns ms, 0 to `capMs`. Source: "full jitter", AWS Architecture Blog, Exponential Backoff And Jitter.
 */
export const backoffMs = (failures: number, { baseMs, capMs }: { baseMs: number; capMs: number }): number =>
  Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 20));

/** `ms` give or take a tenth, so that agents that started together do not beat together. */
export const jittered = (ms: number): number => ms * (0.9 + Math.random() * 0.2);
