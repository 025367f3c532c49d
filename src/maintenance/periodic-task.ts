import type { Logger } from '../telemetry/index.js';

/** Work that is done now and then until it is stopped; never twice at once. */
export interface PeriodicTask {
  /** Ends it, after the run in progress. */
  stop(): Promise<void>;
}

export function startPeriodicTask(
  periodMs: number,
  what: string,
  work: () => Promise<unknown>,
  logger: Logger,
): PeriodicTask {
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  const run = async (): Promise<void> => {
    try {
      await work();
    } catch (err) {
      logger.warn({ err, what }, 'periodic work failed and will be tried again');
    }
    if (!stopped) timer = setTimeout(start, periodMs);
  };
  const start = (): void => {
    running = run();
  };
  start();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await running;
    },
  };
}
