import { sql } from 'kysely';
import { ManagerError, type ErrorCode } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { queryRow } from '../expressions.js';
import { failpoint } from '../failpoint.js';
import { withCommit } from '../pipelined-pool.js';
import { insertOperation, requireSameRequest, type NewOperation, type OperationRow } from './operations.js';
import type { MembershipRow } from './memberships.js';
import type { ClustersDb } from './schema.js';

export interface StepKey {
  readonly operationId: string;
  readonly step: string;
  /** 0, or how often a queued operation was tried before. */
  readonly round: number;
}

export interface Attempt {
  /** 1 for the first attempt of the activity. */
  readonly number: number;
  readonly startedAt: Date;
}

/** The decision of a step that is not finished yet: save what changed, but do not record the step as done. */
export const unfinished = Symbol('unfinished');

interface StepNeeds {
  readonly accept?: NewOperation;
  readonly members?: boolean;
  /** Whether the operation is locked; false for a check outside a transaction, after which `saveStep` decides. */
  readonly locks?: boolean;
}

/** What a step reads when it has locked its operation. */
export interface OpenStep {
  readonly operation: OperationRow;
  /** The newest result of identifyAgents: the plan that later steps carry out. */
  readonly plan: unknown;
  /** The live memberships of the operation's cluster by agent id, if the step needs them. */
  readonly members: readonly MembershipRow[];
}

/**
 * Saves one step at most once. All its writes and its result commit together under the operation's row lock, so a second
 * attempt, or a late one that was believed dead, changes nothing and gets the first result.
 * @param work reads, decides and writes inside the transaction. `[unfinished, value]` saves its writes without ending the step.
 * @param needs.accept the operation's row, written in the same transaction if it is not there yet.
 * @param needs.members whether `work` reads the memberships of the operation's cluster.
 * @throws ManagerError how the operation ended, when it has; `operation_ended` when this step was already undone;
 * `idempotency_conflict`; `not_found`.
 */
export async function saveStep<Result>(
  db: ClustersDb,
  key: StepKey,
  attempt: Attempt,
  work: (tx: ClustersDb, found: OpenStep) => Promise<Result | readonly [typeof unfinished, Result]>,
  needs: StepNeeds = {},
): Promise<Result> {
  failpoint(`${key.step}:before`);
  const result = await inTransaction(db, async (tx) => {
    const step = await openStep<Result>(tx, key, needs);
    if ('done' in step) return step.done;
    const outcome = await work(tx, step);
    const [saved, isDone] = isUnfinished(outcome) ? [outcome[1], false] : [outcome, true];
    if (isDone) {
      await sql`${withCommit}
        insert into operation_steps (operation_id, step, round, attempt, started_at, result)
        values (${key.operationId}, ${key.step}, ${key.round}, ${attempt.number}, ${attempt.startedAt},
          ${JSON.stringify(saved)}::jsonb)`.execute(tx);
    }
    failpoint(`${key.step}:before-commit`);
    return saved;
  });
  failpoint(`${key.step}:after-commit`);
  return result;
}

interface OpenedRow<Result> extends OperationRow, Pick<OpenStep, 'plan' | 'members'> {
  readonly isDone: boolean;
  readonly isUndone: boolean;
  readonly done: Result;
}

/**
 * Locks the operation, then reads what was committed up to then: how far this step is.
 * @throws ManagerError as `saveStep`.
 */
export async function openStep<Result>(
  tx: ClustersDb,
  key: StepKey,
  { accept, members = false, locks = true }: StepNeeds,
): Promise<OpenStep | { readonly done: Result }> {
  const created = accept && (await insertOperation(tx, accept));
  if (created) return { operation: created, plan: undefined, members: [] };
  const row = await queryRow<OpenedRow<Result>>(tx)`
    select o.*, ${members ? sql`members_of(o.cluster_id)` : sql`'[]'::json`} as members
    from open_step(${key.operationId}, ${key.step}, ${key.round}, ${locks}) o`;
  if (!row) throw new ManagerError('not_found', `Operation "${key.operationId}" does not exist`);
  if (accept) requireSameRequest(row, accept);
  if (row.isDone) return { done: row.done };
  if (row.endedAt && row.error) throw new ManagerError(row.error.code as ErrorCode, row.error.detail);
  if (row.endedAt || row.isUndone) {
    throw new ManagerError(
      'operation_ended',
      `Operation ${key.operationId} is ${row.endedAt ? row.state : 'being undone'}; ${key.step} came too late and changed nothing`,
    );
  }
  return { operation: row, plan: row.plan, members: row.members };
}

export const isUnfinished = <Result>(
  outcome: Result | readonly [typeof unfinished, Result],
): outcome is readonly [typeof unfinished, Result] => Array.isArray(outcome) && outcome[0] === unfinished;

/**
 * Compensates a step at most once, whether or not it was done; an operation that has ended is left as it is. The record
 * refuses any attempt of the step that comes later.
 */
export async function undoStep(
  db: ClustersDb,
  key: Omit<StepKey, 'round'>,
  attempt: Attempt,
  work: (tx: ClustersDb, operation: OperationRow) => Promise<unknown> = async () => undefined,
): Promise<void> {
  const step = `undo:${key.step}`;
  failpoint(`${step}:before`);
  await inTransaction(db, async (tx) => {
    const operation = await queryRow<OperationRow>(tx)`
      select * from operations where id = ${key.operationId} for update`;
    // Never accepted, as when the database was unreachable until the deadline: there is nothing to compensate.
    if (!operation || operation.endedAt) return;
    const { rows } = await sql`
      insert into operation_steps (operation_id, step, round, attempt, started_at, result)
      values (${key.operationId}, ${step}, 0, ${attempt.number}, ${attempt.startedAt}, 'null'::jsonb)
      on conflict do nothing returning step`.execute(tx);
    if (rows.length > 0) await work(tx, operation);
    failpoint(`${step}:before-commit`);
  });
  failpoint(`${step}:after-commit`);
}
