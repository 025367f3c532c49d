import type { Logger } from '../telemetry/index.js';

export interface PeriodicTask {
  /** A verb phrase for the log. */
  readonly name: string;
  /** From the end of a run to the start of the next. */
  readonly periodMs: number;
  readonly run: () => Promise<unknown>;
}

/**
 * Runs a task now and then periodically, never twice at once. A failed run is logged; the next one tries again.
 * @returns a function that stops the task after the run in progress.
 */
export function startPeriodicTask({ name, periodMs, run }: PeriodicTask, logger: Logger): () => Promise<void> {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const runAndSchedule = async (): Promise<void> => {
    try {
      await run();
    } catch (err) {
      logger.warn({ err, task: name }, 'a periodic task failed and will be tried again');
    }
    if (!isStopped) timer = setTimeout(start, periodMs);
  };
  const start = (): void => {
    running = runAndSchedule();
  };
  start();
  return async () => {
    isStopped = true;
    clearTimeout(timer);
    await running;
  };
}
