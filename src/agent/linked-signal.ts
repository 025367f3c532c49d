import { setMaxListeners } from 'node:events';

/**
 * A signal that aborts when the first of the given ones does. `AbortSignal.any` is not used: long-lived sources would
 * keep every signal derived from them.
 */
export function linkSignals(...signals: readonly (AbortSignal | undefined)[]) {
  const controller = new AbortController();
  const signal: AbortSignal = controller.signal;
  // Handlers receive these signals and may pass them to any number of calls.
  setMaxListeners(0, signal);
  const sources = signals.filter((source) => source !== undefined);
  const onAbort = (event: Event): void => controller.abort((event.target as AbortSignal).reason);
  for (const source of sources) {
    if (source.aborted) controller.abort(source.reason);
    source.addEventListener('abort', onAbort, { once: true });
  }
  return {
    signal,
    /** Removes the listeners from the source signals, which may live as long as the process. */
    release: (): void => sources.forEach((source) => source.removeEventListener('abort', onAbort)),
  };
}
