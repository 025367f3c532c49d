import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { requireSeconds } from './amounts.js';
import type { ResourcesDb } from './schema.js';

export type CapacityRequestState = 'open' | 'granted' | 'denied' | 'expired';

/** What a cluster asks the orchestrator for, because the fleet cannot give it. */
export interface NewCapacityRequest {
  /** `rr_…` */
  readonly id: string;
  readonly clusterId: string;
  readonly operationId: string;
  /** An operation asks once a round. */
  readonly round: number;
  /** What is needed: JSON. */
  readonly need: unknown;
  readonly reason: string;
  readonly deadlineSeconds: number;
}

export interface CapacityRequestRow extends Omit<NewCapacityRequest, 'deadlineSeconds'> {
  readonly no: number;
  readonly state: CapacityRequestState;
  readonly openedAt: Date;
  readonly deadlineAt: Date;
  readonly answeredAt: Date | null;
  readonly answeredBy: string | null;
  readonly answer: unknown;
}

const columns = sql<CapacityRequestRow>`
  r.no, r.id, r.cluster_id as "clusterId", r.operation_id as "operationId", r.round, r.need, r.reason, r.state,
  r.opened_at as "openedAt", r.deadline_at as "deadlineAt", r.answered_at as "answeredAt", r.answered_by as "answeredBy",
  r.answer`;

/**
 * Opens a request. An operation that asks again in the same round finds the one it opened, as it is now.
 * @throws ManagerError `idempotency_conflict` when the id, or the operation's round, stands for another request.
 */
export async function openCapacityRequest(db: ResourcesDb, request: NewCapacityRequest): Promise<CapacityRequestRow> {
  requireSeconds('deadlineSeconds', request.deadlineSeconds);
  await sql`
    insert into resource_requests (id, cluster_id, operation_id, round, need, reason, deadline_at)
    values (${request.id}, ${request.clusterId}, ${request.operationId}, ${request.round},
      ${JSON.stringify(request.need)}::jsonb, ${request.reason},
      clock_timestamp() + make_interval(secs => ${request.deadlineSeconds}))
    on conflict do nothing`.execute(db);
  const { rows } = await sql<CapacityRequestRow>`
    select ${columns} from resource_requests r
    where (r.operation_id = ${request.operationId} and r.round = ${request.round}) or r.id = ${request.id}`.execute(db);
  const { clusterId, operationId, round } = request;
  const own = rows.find((row) => row.operationId === operationId && row.round === round && row.clusterId === clusterId);
  if (own) return own;
  const [other] = rows;
  if (!other) throw new Error(`Resource request ${request.id} was not written`);
  throw new ManagerError(
    'idempotency_conflict',
    `Resource request "${request.id}" of cluster "${clusterId}", operation "${operationId}", round ${round}, cannot be ` +
      `opened: "${other.id}" is of cluster "${other.clusterId}", operation "${other.operationId}", round ${other.round}. ` +
      'Send the same again, or use a new id',
  );
}

export async function findCapacityRequest(db: ResourcesDb, id: string): Promise<CapacityRequestRow | undefined> {
  const { rows } = await sql<CapacityRequestRow>`
    select ${columns} from resource_requests r where r.id = ${id}`.execute(db);
  return rows[0];
}

/**
 * Answers an open request before its deadline. The same answer by the same party again is confirmed.
 * @throws ManagerError `not_found`; `state_conflict` when it was answered otherwise, or its deadline is over.
 */
export async function saveCapacityAnswer(
  db: ResourcesDb,
  id: string,
  given: { readonly state: 'granted' | 'denied'; readonly by: string; readonly answer: unknown },
): Promise<CapacityRequestRow> {
  const answer = sql`${JSON.stringify(given.answer)}::jsonb`;
  const { rows } = await sql<CapacityRequestRow>`
    update resource_requests r set state = ${given.state}, answered_at = clock_timestamp(), answered_by = ${given.by},
      answer = ${answer}
    where r.id = ${id} and r.state = 'open' and r.deadline_at > clock_timestamp() returning ${columns}`.execute(db);
  if (rows[0]) return rows[0];
  const { rows: known } = await sql<CapacityRequestRow & { same: boolean }>`
    select ${columns}, coalesce(r.state = ${given.state} and r.answered_by = ${given.by} and r.answer = ${answer}, false)
      as same
    from resource_requests r where r.id = ${id}`.execute(db);
  if (!known[0]) throw new ManagerError('not_found', `There is no resource request "${id}"; list those that are open`);
  const { same, ...request } = known[0];
  if (same) return request;
  throw new ManagerError(
    'state_conflict',
    `Resource request "${id}" ${whatHappened(request)}; it is not answered twice. ` +
      'If the cluster still lacks something, it asks in a new request',
  );
}

const whatHappened = ({ state, answeredAt, answeredBy, deadlineAt }: CapacityRequestRow): string =>
  state === 'open' || state === 'expired'
    ? `expired at ${(answeredAt ?? deadlineAt).toISOString()}`
    : `was ${state} by ${answeredBy} at ${answeredAt?.toISOString()}`;

/** Ends requests that nobody answered in time, a chunk at a time. @returns their ids. */
export async function expireCapacityRequests(db: ResourcesDb, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with late as (
      select id from resource_requests where state = 'open' and deadline_at <= clock_timestamp()
      order by deadline_at limit ${limit} for update skip locked
    )
    update resource_requests r set state = 'expired', answered_at = clock_timestamp() from late where r.id = late.id
    returning r.id`.execute(db);
  return rows.map(({ id }) => id);
}

/** Ends what an operation that is over still asks for: an answer would change nothing any more. */
export async function withdrawCapacityRequests(db: ResourcesDb, operationId: string): Promise<void> {
  await sql`
    update resource_requests set state = 'expired', answered_at = clock_timestamp(),
      answer = '{"reason": "the operation that asked is over"}'
    where operation_id = ${operationId} and state = 'open'`.execute(db);
}

export interface CapacityRequestFilter {
  readonly state?: CapacityRequestState;
  readonly clusterId?: string;
  /** Only requests before this one: the `no` of the last one of the page before. */
  readonly before?: number;
  readonly limit: number;
}

/** Newest first. */
export async function listCapacityRequests(
  db: ResourcesDb,
  filter: CapacityRequestFilter,
): Promise<CapacityRequestRow[]> {
  const { rows } = await sql<CapacityRequestRow>`
    select ${columns} from resource_requests r
    where (${filter.state ?? null}::text is null or r.state = ${filter.state ?? null})
      and (${filter.clusterId ?? null}::text is null or r.cluster_id = ${filter.clusterId ?? null})
      and (${filter.before ?? null}::bigint is null or r.no < ${filter.before ?? null})
    order by r.no desc limit ${filter.limit}`.execute(db);
  return rows;
}

/** Deletes requests that ended so long ago, a chunk at a time. @returns how many. */
export async function pruneCapacityRequests(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from resource_requests where no = any(array(select no from resource_requests
      where answered_at < now() - make_interval(secs => ${keepSeconds}) limit ${limit}))`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
