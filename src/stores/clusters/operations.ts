import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationError, OperationState } from '../../contracts/operations.js';
import { requestHash } from '../../contracts/request-hash.js';
import { andEqual, queryRow, queryRows, queryValues } from '../expressions.js';
import { withCommit } from '../pipelined-pool.js';
import type { ClustersDb, Row } from './schema.js';

export type OperationRow = Row<'operations'>;

export type NewOperation = Pick<OperationRow, 'id' | 'kind' | 'clusterId' | 'workflowId' | 'request' | 'requestedBy'>;

/**
 * Writes the row of an operation. Raw SQL, since the builder costs about 0.1 ms here and every operation needs it.
 * @returns undefined when its id is taken.
 */
export const insertOperation = (db: ClustersDb, operation: NewOperation): Promise<OperationRow | undefined> =>
  queryRow<OperationRow>(db)`
    insert into operations (id, kind, state, cluster_id, workflow_id, request, request_hash, requested_by)
    values (${operation.id}, ${operation.kind}, 'running', ${operation.clusterId}, ${operation.workflowId},
      ${JSON.stringify(operation.request)}::jsonb, ${hashOf(operation)}, ${operation.requestedBy})
    on conflict (id) do nothing returning *`;

const hashOf = ({ kind, request }: NewOperation): string => requestHash(kind, request);

/** @throws ManagerError `idempotency_conflict` when the known operation is of another request. */
export function requireSameRequest(known: OperationRow, operation: NewOperation): void {
  if (known.requestHash === hashOf(operation)) return;
  throw new ManagerError(
    'idempotency_conflict',
    `"${operation.id}" was used for another ${known.kind} request at ${known.createdAt.toISOString()}; ` +
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

export const findOperation = (db: ClustersDb, id: string): Promise<OperationRow | undefined> =>
  db.selectFrom('operations').selectAll().where('id', '=', id).executeTakeFirst();

export interface OperationFilter {
  readonly state?: OperationState;
  readonly clusterId?: string;
  /** Only operations that sort after this one: the `id` of the last row of the page before. */
  readonly after?: { readonly createdAt: string; readonly id: string };
  readonly limit: number;
}

/** Newest first, by the millisecond, which is what a cursor made of a JavaScript date can name. */
export const listOperations = (
  db: ClustersDb,
  { after, limit, ...equal }: OperationFilter,
): Promise<OperationRow[]> => queryRows<OperationRow>(db)`
  select * from operations where true ${andEqual(equal)}
    ${after ? sql`and (date_trunc('milliseconds', created_at), id) < (${after.createdAt}::timestamptz, ${after.id})` : sql``}
  order by date_trunc('milliseconds', created_at) desc, id desc limit ${limit}`;

/**
 * Ends an operation once, with its event in the log; a second end changes nothing. Call it last in a transaction: it locks
 * the log's head until the commit.
 * @param end.event the event's `type`; its data is the result or the error.
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

/** The batches of messages that unfinished operations name. */
export const batchesInUse = (db: ClustersDb): Promise<string[]> => queryValues<string>(db)`
  select distinct o.request ->> 'batchId' from operations o
  where o.state in ('running', 'queued') and o.kind = 'COMMUNICATION' and o.request ? 'batchId'`;

/**
 * Open operations whose workflow may have been terminated: accepted but without a step after `startSeconds`, or open
 * `graceSeconds` after their deadline. Starting their workflow again is safe: a running one is joined, finished steps
 * return their first result, and lost reservations end in compensation.
 */
export const abandonedOperations = (
  db: ClustersDb,
  { startSeconds, graceSeconds, limit }: { startSeconds: number; graceSeconds: number; limit: number },
): Promise<OperationRow[]> => queryRows<OperationRow>(db)`
  select * from operations o
  where o.state in ('running', 'queued') and (
    (o.state = 'running' and o.created_at < now() - make_interval(secs => ${startSeconds})
      and not exists (select 1 from operation_steps s where s.operation_id = o.id))
    or coalesce(o.queued_at + make_interval(secs => coalesce((o.request ->> 'queueSeconds')::int, 3600)), o.created_at)
       + make_interval(secs => coalesce((o.request ->> 'deadlineSeconds')::int, 120) + ${graceSeconds}) < now())
  -- A scaling may wait an hour for the orchestrator: many of those must not keep the others out of the page.
  order by o.kind = 'SCALING', o.created_at limit ${limit}`;
