import { ManagerError } from '../contracts/errors.js';
import type { OperationState, OperationView } from '../contracts/operations.js';

export interface WaitOptions {
  /** Default 10 minutes. */
  readonly timeoutMs?: number;
  /** Called with the first view and with each that differs from the one before. */
  readonly onChange?: (operation: OperationView) => void;
}

const firstPauseMs = 100;
const maxPauseMs = 1000;

const hasEnded = (state: OperationState): boolean => state !== 'running' && state !== 'queued';

/** A manager that restarts, or that limits the rate of requests, is polled again. */
const isTemporary = (error: unknown): boolean =>
  error instanceof ManagerError && (error.code === 'service_unavailable' || error.code === 'too_many_requests');

/**
 * Polls an operation, at growing intervals, until it has ended.
 * @throws ManagerError `deadline_exceeded` on a timeout; the last error of `read` when the manager did not answer by then.
 */
export async function waitForOperation(
  read: () => Promise<OperationView>,
  id: string,
  { timeoutMs = 600_000, onChange, signal }: WaitOptions & { readonly signal?: AbortSignal },
): Promise<OperationView> {
  const deadlineMs = performance.now() + timeoutMs;
  let previous = '';
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.min(maxPauseMs, pauseMs * 1.3)) {
    signal?.throwIfAborted();
    let temporaryError: unknown;
    try {
      const operation = await read();
      const current = JSON.stringify(operation);
      if (current !== previous) onChange?.(operation);
      previous = current;
      if (hasEnded(operation.state)) return operation;
    } catch (error) {
      if (!isTemporary(error)) throw error;
      temporaryError = error;
    }
    const leftMs = deadlineMs - performance.now();
    if (leftMs <= 0) {
      if (temporaryError) throw temporaryError;
      throw new ManagerError(
        'deadline_exceeded',
        `Operation "${id}" has not ended within ${Math.round(timeoutMs / 1000)} s; it continues: read it again later`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)));
  }
}
