import { ManagerError } from '../../contracts/errors.js';
import { deletePast, json, now, secondsFromNow, type Retention } from '../expressions.js';
import { requireSeconds } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

const columns = [
  'no',
  'id',
  'clusterId',
  'operationId',
  'round',
  'need',
  'reason',
  'state',
  'openedAt',
  'deadlineAt',
  'answeredAt',
  'answeredBy',
  'answer',
] as const;

/** What a cluster asks the orchestrator for, because the registered agents cannot give it. */
export type CapacityRequestRow = Row<'capacityRequests', typeof columns>;

export type CapacityRequestState = CapacityRequestRow['state'];

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
  const rows = await db
    .selectFrom('capacityRequests')
    .select(columns)
    .where((either) =>
      either.or([
        either.and([either('operationId', '=', operationId), either('round', '=', round)]),
        either('id', '=', id),
      ]),
    )
    .execute();
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
  db.selectFrom('capacityRequests').select(columns).where('id', '=', id).executeTakeFirst();

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
  const saved = await db
    .updateTable('capacityRequests')
    .set({ state: given.state, answeredAt: now, answeredBy: given.by, answer })
    .where('id', '=', id)
    .where('state', '=', 'open')
    .where('deadlineAt', '>', now)
    .returning(columns)
    .executeTakeFirst();
  if (saved) return saved;
  const known = await db
    .selectFrom('capacityRequests')
    .select(columns)
    .select((known) => known('answer', '=', answer).as('isSameAnswer'))
    .where('id', '=', id)
    .executeTakeFirst();
  if (!known) throw new ManagerError('not_found', `There is no resource request "${id}"; list those that are open`);
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
export async function expireCapacityRequests(db: ResourcesDb, limit: number): Promise<string[]> {
  const expired = await db
    .with('late', (query) =>
      query
        .selectFrom('capacityRequests')
        .select('id')
        .where('state', '=', 'open')
        .where('deadlineAt', '<=', now)
        .orderBy('deadlineAt')
        .limit(limit)
        .forUpdate()
        .skipLocked(),
    )
    .updateTable('capacityRequests')
    .from('late')
    .set({ state: 'expired', answeredAt: now })
    .whereRef('capacityRequests.id', '=', 'late.id')
    .returning('capacityRequests.id')
    .execute();
  return expired.map(({ id }) => id);
}

/** Expires the open requests of an operation that has ended: an answer would change nothing. */
export async function withdrawCapacityRequests(db: ResourcesDb, operationId: string): Promise<void> {
  await db
    .updateTable('capacityRequests')
    .set({ state: 'expired', answeredAt: now, answer: json({ reason: 'the operation that asked is over' }) })
    .where('operationId', '=', operationId)
    .where('state', '=', 'open')
    .execute();
}

export interface CapacityRequestFilter {
  readonly state?: CapacityRequestState;
  readonly clusterId?: string;
  /** Only requests before this one: the `no` of the last one of the page before. */
  readonly before?: number;
  readonly limit: number;
}

/** Newest first. */
export const listCapacityRequests = (
  db: ResourcesDb,
  { state, clusterId, before, limit }: CapacityRequestFilter,
): Promise<CapacityRequestRow[]> =>
  db
    .selectFrom('capacityRequests')
    .select(columns)
    .$if(state !== undefined, (query) => query.where('state', '=', state ?? 'open'))
    .$if(clusterId !== undefined, (query) => query.where('clusterId', '=', clusterId ?? ''))
    .$if(before !== undefined, (query) => query.where('no', '<', before ?? 0))
    .orderBy('no', 'desc')
    .limit(limit)
    .execute();

export const pruneCapacityRequests = (db: ResourcesDb, retention: Retention): Promise<number> =>
  deletePast(db, 'capacityRequests', 'answeredAt', retention);
