import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationError, OperationKind, OperationState } from '../../contracts/operations.js';
import { withCommit } from '../pipelined-pool.js';
import type { ClustersDb } from './schema.js';

export interface OperationRow {
  readonly id: string;
  readonly kind: OperationKind;
  readonly state: OperationState;
  readonly clusterId: string;
  readonly workflowId: string;
  readonly request: unknown;
  readonly requestHash: string;
  readonly requestedBy: string;
  readonly result: unknown;
  readonly error: OperationError | null;
  readonly createdAt: Date;
  readonly queuedAt: Date | null;
  readonly endedAt: Date | null;
}

export const operationColumns = sql<OperationRow>`
  o.id, o.kind, o.state, o.cluster_id as "clusterId", o.workflow_id as "workflowId", o.request,
  o.request_hash as "requestHash", o.requested_by as "requestedBy", o.result, o.error,
  o.created_at as "createdAt", o.queued_at as "queuedAt", o.ended_at as "endedAt"`;

export type NewOperation = Pick<
  OperationRow,
  'id' | 'kind' | 'clusterId' | 'workflowId' | 'request' | 'requestHash' | 'requestedBy'
>;

/** Writes the row of an operation. @returns undefined when its id is taken. */
export async function insertOperation(db: ClustersDb, operation: NewOperation): Promise<OperationRow | undefined> {
  const { rows } = await sql<OperationRow>`
    insert into operations as o (id, kind, state, cluster_id, workflow_id, request, request_hash, requested_by)
    values (${operation.id}, ${operation.kind}, 'running', ${operation.clusterId}, ${operation.workflowId},
      ${JSON.stringify(operation.request)}::jsonb, ${operation.requestHash}, ${operation.requestedBy})
    on conflict (id) do nothing returning ${operationColumns}`.execute(db);
  return rows[0];
}

/** @throws ManagerError `idempotency_conflict` when the known operation stands for another request. */
export function requireSameRequest(known: OperationRow, operation: NewOperation): void {
  if (known.requestHash === operation.requestHash && known.kind === operation.kind) return;
  throw new ManagerError(
    'idempotency_conflict',
    `"${operation.id}" already stands for another ${known.kind} request of ${known.createdAt.toISOString()}; ` +
      'send the same request again to get its result, or use a new id',
  );
}

/**
 * Writes the row of an operation, or finds the one that has its id. The row outlives Temporal's retention, so the
 * same id gives the same operation for ever.
 * @throws ManagerError `idempotency_conflict` when the id was used with another request.
 */
export async function acceptOperation(
  db: ClustersDb,
  operation: NewOperation,
): Promise<{ readonly operation: OperationRow; readonly created: boolean }> {
  const created = await insertOperation(db, operation);
  if (created) return { operation: created, created: true };
  const known = await findOperation(db, operation.id);
  if (!known) throw new Error(`Operation ${operation.id} vanished while it was accepted`);
  requireSameRequest(known, operation);
  return { operation: known, created: false };
}

export async function findOperation(db: ClustersDb, id: string): Promise<OperationRow | undefined> {
  const { rows } = await sql<OperationRow>`select ${operationColumns} from operations o where o.id = ${id}`.execute(db);
  return rows[0];
}

export interface OperationFilter {
  readonly state?: OperationState;
  readonly clusterId?: string;
  /** Only operations that sort after this one: the `id` of the last row of the page before. */
  readonly before?: { readonly createdAt: string; readonly id: string };
  readonly limit: number;
}

/** Newest first, by the millisecond: what a cursor made of a JavaScript date can name. */
export async function listOperations(db: ClustersDb, filter: OperationFilter): Promise<OperationRow[]> {
  const { rows } = await sql<OperationRow>`
    select ${operationColumns} from operations o
    where (${filter.state ?? null}::text is null or o.state = ${filter.state ?? null})
      and (${filter.clusterId ?? null}::text is null or o.cluster_id = ${filter.clusterId ?? null})
      and (${filter.before?.createdAt ?? null}::timestamptz is null
        or (date_trunc('milliseconds', o.created_at), o.id)
          < (${filter.before?.createdAt ?? null}::timestamptz, ${filter.before?.id ?? null}))
    order by date_trunc('milliseconds', o.created_at) desc, o.id desc limit ${filter.limit}`.execute(db);
  return rows;
}

export interface StepRow {
  readonly step: string;
  readonly round: number;
  readonly attempt: number;
  readonly startedAt: Date;
  readonly endedAt: Date;
  readonly result: unknown;
}

export async function stepsOf(db: ClustersDb, operationId: string): Promise<StepRow[]> {
  return db
    .selectFrom('operationSteps')
    .select(['step', 'round', 'attempt', 'startedAt', 'endedAt', 'result'])
    .where('operationId', '=', operationId)
    .orderBy('endedAt')
    .execute();
}

/**
 * Ends an operation once, with its event in the log; a second ending changes nothing. Call it last in a transaction: it
 * holds the log's head until the commit.
 * @param end.event `type` in the log; its data is the result or the error.
 */
export async function endOperation(
  tx: ClustersDb,
  id: string,
  end: {
    readonly state: OperationState;
    readonly event: string;
    readonly result?: unknown;
    readonly error?: OperationError;
  },
): Promise<void> {
  const result = end.result === undefined ? null : JSON.stringify(end.result);
  const error = end.error === undefined ? null : JSON.stringify(end.error);
  await sql`${withCommit}
    with ended as (
      update operations set state = ${end.state}, ended_at = clock_timestamp(), result = ${result}::jsonb,
        error = ${error}::jsonb
      where id = ${id} and state in ('running', 'queued') returning cluster_id
    ), head as (
      update event_head set last_seq = last_seq + 1 from ended returning last_seq, ended.cluster_id
    )
    insert into events (seq, id, type, subject, operation_id, data)
    select last_seq, ${`${id}:${end.event}`}, ${end.event}, cluster_id, ${id},
      coalesce(${error}::jsonb, ${result}::jsonb, '{}'::jsonb) from head`.execute(tx);
}

/**
 * Running operations that nobody may be working on: accepted but with no step after `startSeconds`, or still open
 * `graceSeconds` after their deadline (a terminated workflow runs no code). Starting their workflow again is safe:
 * one that runs is joined, finished steps give their first result, and lost reservations end in compensation.
 */
export async function abandonedOperations(
  db: ClustersDb,
  { startSeconds, graceSeconds, limit }: { startSeconds: number; graceSeconds: number; limit: number },
): Promise<OperationRow[]> {
  const { rows } = await sql<OperationRow>`
    select ${operationColumns} from operations o
    where o.state in ('running', 'queued') and (
      (o.state = 'running' and o.created_at < now() - make_interval(secs => ${startSeconds})
        and not exists (select 1 from operation_steps s where s.operation_id = o.id))
      or coalesce(o.queued_at + make_interval(secs => coalesce((o.request ->> 'queueSeconds')::int, 3600)), o.created_at)
         + make_interval(secs => coalesce((o.request ->> 'deadlineSeconds')::int, 120) + ${graceSeconds}) < now())
    -- A scaling may wait an hour for the orchestrator: many of those must not keep the others from being looked at.
    order by o.kind = 'SCALING', o.created_at limit ${limit}`.execute(db);
  return rows;
}
