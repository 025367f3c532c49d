import {
  isUnfinished,
  openStep,
  saveStep,
  type ClustersDb,
  type NewOperation,
  type OpenStep,
  type StepKey,
  type unfinished,
} from '../../stores/clusters/index.js';
import { failpoint } from '../../stores/failpoint.js';
import { thisAttempt } from './as-activity.js';

interface StepOptions<Result> {
  /** The operation's row, written first if it does not exist. */
  readonly accept?: NewOperation;
  /** Writes to clusters_db in the transaction that saves the result. */
  readonly onSave?: (tx: ClustersDb, result: Result) => Promise<void>;
}

/**
 * Runs a step that writes to another database than clusters_db. No transaction is open while `work` runs, so a late attempt
 * can overlap with a later one: what `work` writes must be idempotent, keyed by the operation.
 * @param work returns the result to save, or `[unfinished, value]` to return a value without ending the step.
 * @throws ManagerError as `saveStep`.
 */
export async function runStep<Result>(
  clusters: ClustersDb,
  key: StepKey,
  work: (step: OpenStep) => Promise<Result | readonly [typeof unfinished, Result]>,
  { accept, onSave }: StepOptions<Result> = {},
): Promise<Result> {
  failpoint(`${key.step}:before`);
  const step = await openStep<Result>(clusters, key, { locks: false, ...(accept ? { accept } : {}) });
  if ('done' in step) return step.done;
  const outcome = await work(step);
  if (isUnfinished(outcome)) return outcome[1];
  return saveStep<Result>(clusters, key, thisAttempt(), async (tx) => {
    await onSave?.(tx, outcome);
    return outcome;
  });
}
