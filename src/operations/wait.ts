import { setTimeout as delay } from 'node:timers/promises';
import { findOperation, type OperationRow } from '../stores/clusters/index.js';
import type { OperationsDeps } from './deps.js';

const firstPollMs = 50;
const maxPollMs = 250;

export const hasEnded = ({ state }: Pick<OperationRow, 'state'>): boolean => state !== 'running' && state !== 'queued';

/**
 * Polls an operation's row until the operation has ended, the wait is over, the caller has gone or the server stops.
 * @returns the row as last read.
 */
export async function waitForOperation(
  { clusters, stopping }: Pick<OperationsDeps, 'clusters' | 'stopping'>,
  operation: OperationRow,
  waitSeconds: number,
  callerLeft: AbortSignal,
): Promise<OperationRow> {
  const endsAtMs = performance.now() + waitSeconds * 1000;
  let current = operation;
  for (let pollMs = firstPollMs; !hasEnded(current); pollMs = Math.min(maxPollMs, pollMs * 1.5)) {
    const leftMs = endsAtMs - performance.now();
    if (leftMs <= 0 || callerLeft.aborted || stopping.aborted) break;
    await delay(Math.min(pollMs, leftMs));
    current = (await findOperation(clusters, operation.id)) ?? current;
  }
  return current;
}
