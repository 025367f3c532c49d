import { setTimeout } from 'node:timers/promises';
import { ManagerError } from '../contracts/errors.js';
import type { Logger } from '../telemetry/index.js';

const firstPauseMs = 250;
const lastPauseMs = 5000;

export interface Waiting {
  readonly logger: Logger;
  /** Gives up after so long. */
  readonly limitMs?: number;
  /** Gives up when it is aborted. */
  readonly signal?: AbortSignal;
}

/**
 * Retries `attempt` while it fails with `service_unavailable`, with a growing pause and a warning each time: a process
 * that starts together with PostgreSQL and Temporal waits until they answer.
 * @throws what the last attempt threw.
 */
export async function waitForService<Value>(
  what: string,
  attempt: () => Promise<Value>,
  { logger, limitMs = 60_000, signal = new AbortController().signal }: Waiting,
): Promise<Value> {
  const endsAtMs = performance.now() + limitMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(lastPauseMs, pauseMs * 2)) {
    try {
      return await attempt();
    } catch (error) {
      const isWorthWaiting = error instanceof ManagerError && error.code === 'service_unavailable';
      if (!isWorthWaiting || signal.aborted || performance.now() + pauseMs > endsAtMs) throw error;
      logger.warn({ what, problem: error.message, retryInMs: pauseMs }, 'waiting for a service');
      // An abort ends the pause; the next attempt is then the last.
      await setTimeout(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
}
