export type WakeSignal = ReturnType<typeof createWakeSignal>;

/** Ends sleeps early. A wake-up while nothing sleeps has no effect. */
export function createWakeSignal() {
  const sleepers = new Set<() => void>();
  return { sleepers, wake: (): void => sleepers.forEach((wake) => wake()) };
}

/** Waits `ms`, or until aborted or woken. Never throws: the loops that use it check their signal themselves. */
export function sleep(ms: number, signal: AbortSignal, wakeSignal?: WakeSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      wakeSignal?.sleepers.delete(done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    wakeSignal?.sleepers.add(done);
  });
}

export const defaultBackoff = { baseMs: 250, capMs: 3000 };

/**
 * How long to wait before the next attempt: a random time up to a limit that doubles with each failure. The random time
 * covers the whole range so that a thousand agents do not return at once.
 * @param failures consecutive failures so far, from 1.
 * @returns ms, 0 to `capMs`. Source: "full jitter", AWS Architecture Blog, Exponential Backoff And Jitter.
 */
export const backoffMs = (failures: number, { baseMs, capMs } = defaultBackoff): number =>
  Math.random() * Math.min(capMs, baseMs * 2 ** Math.min(failures - 1, 20));

/** `ms` plus or minus a tenth, so that agents that started together do not send heartbeats together. */
export const jittered = (ms: number): number => ms * (0.9 + Math.random() * 0.2);
