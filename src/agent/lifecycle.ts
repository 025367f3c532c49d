import { setMaxListeners } from 'node:events';

/** How long acks and nacks may still be sent after the agent was stopped and its handlers have returned. */
const graceMs = 3000;

/** Where one agent is between `start()` and its end. */
export interface Lifecycle {
  hasStarted(): boolean;
  /** Aborted when the agent stops: no new work begins. */
  readonly stopSignal: AbortSignal;
  /** Aborted when the grace period after that has ended: no call to the manager is made any more. */
  readonly graceSignal: AbortSignal;
  /** Starts the grace period. Called once the agent has stopped and no handler runs any more. */
  beginGrace(): void;
}

export interface LifecycleControl extends Lifecycle {
  start(): void;
  /** Aborts the stop signal; the grace signal follows with `end()` or the grace period. */
  stop(): void;
  /** Aborts both signals. */
  end(reason?: Error): void;
}

export function createLifecycle(agentId: string): LifecycleControl {
  const stopping = new AbortController();
  const grace = new AbortController();
  // Each delivery in flight adds a listener.
  setMaxListeners(0, stopping.signal, grace.signal);
  const stopped = (): Error => new Error(`Agent "${agentId}" was stopped`);
  let hasStarted = false;
  let graceTimer: NodeJS.Timeout | undefined;
  return {
    hasStarted: () => hasStarted,
    stopSignal: stopping.signal,
    graceSignal: grace.signal,
    beginGrace: () => void (graceTimer ??= setTimeout(() => grace.abort(stopped()), graceMs)),
    start: () => void (hasStarted = true),
    stop: () => stopping.abort(stopped()),
    end: (reason = stopped()) => {
      clearTimeout(graceTimer);
      stopping.abort(reason);
      grace.abort(reason);
    },
  };
}
