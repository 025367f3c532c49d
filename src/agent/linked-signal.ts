import { setMaxListeners } from 'node:events';

export interface LinkedSignal {
  readonly signal: AbortSignal;
  /** Lets go of the others; they may live for years. */
  release(): void;
}

/** A signal that is aborted with the first of others. Not AbortSignal.any, which the long-lived ones would keep. */
export function linkSignals(...signals: readonly (AbortSignal | undefined)[]): LinkedSignal {
  const controller = new AbortController();
  // Handlers get such signals, and may pass them on to any number of calls.
  setMaxListeners(0, controller.signal);
  const others = signals.filter((signal) => signal !== undefined);
  const onAbort = (event: Event): void => controller.abort((event.target as AbortSignal).reason);
  for (const signal of others) {
    if (signal.aborted) controller.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  }
  return {
    signal: controller.signal,
    release: () => others.forEach((signal) => signal.removeEventListener('abort', onAbort)),
  };
}
