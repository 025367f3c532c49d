import { ManagerError } from '../contracts/errors.js';
import type { OperationState, OperationView } from '../contracts/operations.js';

export interface WaitOptions {
  /** Default 10 minutes. */
  readonly timeoutMs?: number;
  /** Called with the first view and with each that differs from the one before. */
  readonly onChange?: (operation: OperationView) => void;
}

const firstLookMs = 100;
const lastLookMs = 1000;

export const hasEnded = (state: OperationState): boolean => state !== 'running' && state !== 'queued';

/** Asks for an operation until it has ended; a manager that is away for a moment is waited for. */
export async function waitForOperation(
  read: (id: string) => Promise<OperationView>,
  id: string,
  { timeoutMs = 600_000, onChange, signal }: WaitOptions & { readonly signal?: AbortSignal },
): Promise<OperationView> {
  const endsAtMs = performance.now() + timeoutMs;
  let seen = '';
  let away: unknown;
  for (let pauseMs = firstLookMs; ; pauseMs = Math.min(lastLookMs, pauseMs * 1.3)) {
    signal?.throwIfAborted();
    try {
      const operation = await read(id);
      away = undefined;
      const looks = JSON.stringify(operation);
      if (looks !== seen) onChange?.(operation);
      seen = looks;
      if (hasEnded(operation.state)) return operation;
    } catch (error) {
      if (!(error instanceof ManagerError) || !['service_unavailable', 'too_many_requests'].includes(error.code)) {
        throw error;
      }
      away = error;
    }
    const leftMs = endsAtMs - performance.now();
    if (leftMs <= 0) {
      if (away) throw away;
      throw new ManagerError(
        'deadline_exceeded',
        `Operation "${id}" has not ended within ${Math.round(timeoutMs / 1000)} s; it goes on: ask for it again later`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, leftMs)));
  }
}
