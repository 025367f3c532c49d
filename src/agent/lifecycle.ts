import { setMaxListeners } from 'node:events';

/** How long acks and nacks may still be sent after the agent was stopped and its handlers have returned. */
const graceMs = 3000;

/** Where one agent is between `start()` and its end. */
export function createLifecycle(agentId: string) {
  const stopping = new AbortController();
  const grace = new AbortController();
  const stopSignal: AbortSignal = stopping.signal;
  const graceSignal: AbortSignal = grace.signal;
  // Each delivery in flight adds a listener.
  setMaxListeners(0, stopSignal, graceSignal);
  const stopped = (): Error => new Error(`Agent "${agentId}" was stopped`);
  let hasStarted = false;
  let graceTimer: NodeJS.Timeout | undefined;
  return {
    hasStarted: (): boolean => hasStarted,
    /** Aborted when the agent stops: no new work begins. */
    stopSignal,
    /** Aborted when the grace period after that has ended: no call to the manager is made any more. */
    graceSignal,
    /** Starts the grace period. Called once the agent has stopped and no handler runs any more. */
    beginGrace: (): void => void (graceTimer ??= setTimeout(() => grace.abort(stopped()), graceMs)),
    start: (): void => void (hasStarted = true),
    /** Aborts the stop signal; the grace signal follows with `end()` or the grace period. */
    stop: (): void => stopping.abort(stopped()),
    /** Aborts both signals. */
    end: (reason = stopped()): void => {
      clearTimeout(graceTimer);
      stopping.abort(reason);
      grace.abort(reason);
    },
  };
}
