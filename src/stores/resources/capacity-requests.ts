import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { json, newestRows, now, queryRow, queryRows, queryValues, secondsFromNow } from '../expressions.js';
import { requireSeconds } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

/** What a cluster asks the orchestrator for, because the registered agents cannot give it. */
export type CapacityRequestRow = Row<'capacityRequests'>;

export interface NewCapacityRequest extends Pick<
  CapacityRequestRow,
  'id' | 'clusterId' | 'operationId' | 'round' | 'need' | 'reason'
> {
  readonly deadlineSeconds: number;
}

/**
 * Opens a request. An operation that asks again in the same round gets the one that it opened, as it is now.
 * @throws ManagerError `idempotency_conflict` when the id, or the operation's round, is that of another request.
 */
export async function openCapacityRequest(
  db: ResourcesDb,
  { deadlineSeconds, need, ...request }: NewCapacityRequest,
): Promise<CapacityRequestRow> {
  requireSeconds('deadlineSeconds', deadlineSeconds);
  const { id, clusterId, operationId, round } = request;
  await db
    .insertInto('capacityRequests')
    .values({ ...request, need: json(need), deadlineAt: secondsFromNow(deadlineSeconds) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  const rows = await queryRows<CapacityRequestRow>(db)`
    select * from capacity_requests where id = ${id} or (operation_id = ${operationId} and round = ${round})`;
  const own = rows.find((row) => row.operationId === operationId && row.round === round && row.clusterId === clusterId);
  if (own) return own;
  const [other] = rows;
  if (!other) throw new Error(`Capacity request ${id} was not written`);
  throw new ManagerError(
    'idempotency_conflict',
    `Resource request "${id}" of cluster "${clusterId}", operation "${operationId}", round ${round}, cannot be ` +
      `opened: "${other.id}" is of cluster "${other.clusterId}", operation "${other.operationId}", round ${other.round}. ` +
      'Send the same again, or use a new id',
  );
}

export const findCapacityRequest = (db: ResourcesDb, id: string): Promise<CapacityRequestRow | undefined> =>
  db.selectFrom('capacityRequests').selectAll().where('id', '=', id).executeTakeFirst();

/**
 * Answers an open request before its deadline. The same answer by the same party again is confirmed.
 * @throws ManagerError `not_found`; `state_conflict` when it has another answer, or its deadline has passed.
 */
export async function saveCapacityAnswer(
  db: ResourcesDb,
  id: string,
  given: { readonly state: 'granted' | 'denied'; readonly by: string; readonly answer: unknown },
): Promise<CapacityRequestRow> {
  const answer = json(given.answer);
  const saved = await queryRow<CapacityRequestRow>(db)`
    update capacity_requests set state = ${given.state}, answered_at = ${now}, answered_by = ${given.by}, answer = ${answer}
    where id = ${id} and state = 'open' and deadline_at > ${now} returning *`;
  if (saved) return saved;
  const known = await queryRow<CapacityRequestRow & { isSameAnswer: boolean | null }>(db)`
    select *, answer = ${answer} as is_same_answer from capacity_requests where id = ${id}`;
  if (!known) {
    throw new ManagerError('not_found', `Resource request "${id}" does not exist; list those that are open`);
  }
  const { isSameAnswer, ...request } = known;
  if (isSameAnswer && request.state === given.state && request.answeredBy === given.by) return request;
  throw new ManagerError(
    'state_conflict',
    `Resource request "${id}" ${endOf(request)}; it is not answered twice. ` +
      'If the cluster still lacks something, it asks in a new request',
  );
}

const endOf = ({ state, answeredAt, answeredBy, deadlineAt }: CapacityRequestRow): string =>
  state === 'open' || state === 'expired'
    ? `expired at ${(answeredAt ?? deadlineAt).toISOString()}`
    : `was ${state} by ${answeredBy} at ${answeredAt?.toISOString()}`;

/** Expires requests whose deadline has passed, at most `limit`. @returns their ids. */
export const expireCapacityRequests = (db: ResourcesDb, limit: number): Promise<string[]> => queryValues<string>(db)`
  update capacity_requests set state = 'expired', answered_at = ${now} where id = any(array(
    select id from capacity_requests where state = 'open' and deadline_at <= ${now}
    order by deadline_at limit ${limit} for update skip locked)) returning id`;

/** Expires the open requests of an operation that has ended: an answer would change nothing. */
export async function withdrawCapacityRequests(db: ResourcesDb, operationId: string): Promise<void> {
  await sql`
    update capacity_requests set state = 'expired', answered_at = ${now},
      answer = ${json({ reason: 'the operation that asked is over' })}
    where operation_id = ${operationId} and state = 'open'`.execute(db);
}

/** Newest first. @param filter.after the `no` of the last request of the page before. */
export const listCapacityRequests = (
  db: ResourcesDb,
  {
    state,
    clusterId,
    ...page
  }: Partial<Pick<CapacityRequestRow, 'state' | 'clusterId'>> & { readonly after?: number; readonly limit: number },
): Promise<CapacityRequestRow[]> => newestRows(db, 'capacityRequests', { state, clusterId }, page);
