import { ManagerError } from '../contracts/errors.js';
import type { Logger } from '../telemetry/index.js';

const firstPauseMs = 250;
const lastPauseMs = 5000;

/**
 * Tries until a service is there, saying so, for at most `limitMs`: a server that starts together with its databases
 * and Temporal waits for them. Only `service_unavailable` is waited out.
 * @throws what the last try threw.
 */
export async function waitForService<Value>(
  what: string,
  attempt: () => Promise<Value>,
  { logger, limitMs, signal }: { readonly logger: Logger; readonly limitMs: number; readonly signal: AbortSignal },
): Promise<Value> {
  const endsAtMs = performance.now() + limitMs;
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(lastPauseMs, pauseMs * 2)) {
    try {
      return await attempt();
    } catch (error) {
      const isWorthWaiting = error instanceof ManagerError && error.code === 'service_unavailable';
      if (!isWorthWaiting || signal.aborted || performance.now() + pauseMs > endsAtMs) throw error;
      logger.warn({ what, problem: error.message, retryInMs: pauseMs }, 'waiting for a service');
      await pause(pauseMs, signal);
    }
  }
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end);
  });
