import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { retryOnDeadlock } from '../retry-on-deadlock.js';
import { requireAmount, requireSeconds } from './amounts.js';
import type { ResourcesDb } from './schema.js';

export interface AllocationRequest {
  /** The same id again gets the same answer and takes nothing. */
  readonly requestId: string;
  readonly clusterId: string;
  readonly operationId: string;
  readonly amounts: readonly { readonly pool: string; readonly resource: string; readonly amount: number }[];
  readonly leaseSeconds: number;
}

export interface AllocationRow {
  readonly id: number;
  readonly requestId: string;
  readonly clusterId: string;
  readonly operationId: string;
  readonly pool: string;
  readonly resource: string;
  readonly amount: number;
  readonly state: 'held' | 'released' | 'expired';
  readonly leaseExpiresAt: Date;
}

/** What there was too little of: `free` is what the pool has left, or the cluster's quota. */
export interface Shortage {
  readonly pool: string;
  readonly resource: string;
  readonly asked: number;
  readonly free: number;
  readonly by: 'capacity' | 'quota';
}

export type AllocationOutcome =
  | { readonly state: 'granted'; readonly grants: readonly AllocationRow[] }
  | { readonly state: 'short'; readonly what: readonly Shortage[] };

const columns = sql<AllocationRow>`
  g.id, g.request_id as "requestId", g.cluster_id as "clusterId", g.operation_id as "operationId", g.pool, g.resource,
  g.amount, g.state, g.lease_expires_at as "leaseExpiresAt"`;

type Answer =
  | { readonly granted: true }
  | { readonly short: readonly Shortage[] }
  | { readonly refused: 'no_account' | 'closed' }
  | { readonly refused: 'conflict'; readonly at: string }
  | { readonly refused: 'unknown'; readonly what: readonly { readonly pool: string; readonly resource: string }[] };

/**
 * Takes all that is asked for, or nothing, in one transaction under the locks of the capacities.
 * A shortage is an answer like a grant and is kept, too: who wants to try again asks under a new id.
 * @throws ManagerError `invalid_request`, `not_found` for a pool or account that is not there, `state_conflict` for an
 * account that is closed, `idempotency_conflict` when the id was used with another content.
 */
export async function allocate(db: ResourcesDb, request: AllocationRequest): Promise<AllocationOutcome> {
  const asked = sorted(request);
  const answer = await retryOnDeadlock(async () => {
    const { rows } = await sql<{ answer: Answer }>`
      select take_grants(${request.requestId}, ${request.clusterId}, ${request.operationId},
        ${JSON.stringify(asked)}::jsonb, ${request.leaseSeconds}) as answer`.execute(db);
    return rows[0]?.answer;
  });
  if (!answer) throw new Error(`The request ${request.requestId} was not answered`);
  if ('short' in answer) return { state: 'short', what: answer.short };
  if ('refused' in answer) throw refusalOf(request, answer);
  const { rows } = await sql<AllocationRow>`
    select ${columns} from grants g where g.request_id = ${request.requestId} order by g.id`.execute(db);
  return { state: 'granted', grants: rows };
}

/** In the order of their locks, so that the same content in another order is the same. */
function sorted({ amounts, leaseSeconds }: AllocationRequest): AllocationRequest['amounts'] {
  requireSeconds('leaseSeconds', leaseSeconds);
  const seen = new Set<string>();
  for (const [index, { pool, resource, amount }] of amounts.entries()) {
    requireAmount(`amounts[${index}].amount`, amount, { aboveZero: true });
    const key = JSON.stringify([pool, resource]);
    if (seen.has(key)) {
      throw new ManagerError('invalid_request', `${resource} of "${pool}" is asked for twice; ask once for the sum`);
    }
    seen.add(key);
  }
  if (amounts.length === 0) throw new ManagerError('invalid_request', 'amounts is empty; ask for at least one');
  const key = ({ pool, resource }: { pool: string; resource: string }) => JSON.stringify([pool, resource]);
  return amounts
    .map(({ pool, resource, amount }) => ({ pool, resource, amount: Math.round(amount * 1000) / 1000 }))
    .sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function refusalOf(
  { requestId, clusterId }: AllocationRequest,
  answer: Extract<Answer, { refused: string }>,
): ManagerError {
  switch (answer.refused) {
    case 'no_account':
      return new ManagerError('not_found', `Cluster "${clusterId}" has no resource account; form the cluster first`);
    case 'closed':
      return new ManagerError(
        'state_conflict',
        `The account of cluster "${clusterId}" is closed: it was dissolved, and is granted nothing more`,
      );
    case 'conflict':
      return new ManagerError(
        'idempotency_conflict',
        `"${requestId}" already stands for another request of ${answer.at}; send the same again, or use a new id`,
      );
    case 'unknown':
      return new ManagerError(
        'not_found',
        `There is no ${answer.what.map(({ pool, resource }) => `${resource} in a pool "${pool}"`).join(', no ')}; ` +
          'add it to the pool, or ask for what the pools list',
      );
    default:
      return answer satisfies never;
  }
}

/** Gives grants back. Those that ended before are passed over. @returns the ids of those that ended now. */
export async function releaseAllocation(
  db: ResourcesDb,
  which: { readonly grantIds: readonly number[] } | { readonly clusterId: string },
): Promise<number[]> {
  const ids =
    'grantIds' in which
      ? sql`${[...which.grantIds]}::bigint[]`
      : sql`array(select id from grants where cluster_id = ${which.clusterId} and state = 'held')`;
  return end(db, sql`end_grants(${ids}, 'released')`);
}

/**
 * Sets the leases of held grants to end in so many seconds from now.
 * @returns the ids of those that are held; a lease that ran out and was not yet taken back counts as held.
 */
export async function extendAllocations(
  db: ResourcesDb,
  grantIds: readonly number[],
  leaseSeconds: number,
): Promise<number[]> {
  requireSeconds('leaseSeconds', leaseSeconds);
  const { rows } = await sql<{ id: number }>`
    with held as (
      select id from grants where id = any(${[...grantIds]}::bigint[]) and state = 'held' order by id for no key update
    )
    update grants g set lease_expires_at = clock_timestamp() + make_interval(secs => ${leaseSeconds})
    from held where g.id = held.id returning g.id`.execute(db);
  return rows.map(({ id }) => id).sort((a, b) => a - b);
}

/** Takes back what has a lease that ran out, a chunk at a time. @returns the ids. */
export async function expireAllocations(db: ResourcesDb, limit: number): Promise<number[]> {
  return end(
    db,
    sql`end_grants(array(select id from grants where state = 'held' and lease_expires_at <= clock_timestamp()
      order by lease_expires_at limit ${limit}), 'expired')`,
  );
}

async function end(db: ResourcesDb, call: ReturnType<typeof sql>): Promise<number[]> {
  return retryOnDeadlock(async () => {
    const { rows } = await sql<{ id: number }>`select id from ${call} as id`.execute(db);
    return rows.map(({ id }) => id);
  });
}

/** What a cluster holds, by id. @param page.after the last id of the page before. */
export async function allocationsOf(
  db: ResourcesDb,
  clusterId: string,
  { after = 0, limit }: { readonly after?: number; readonly limit: number },
): Promise<AllocationRow[]> {
  const { rows } = await sql<AllocationRow>`
    select ${columns} from grants g where g.cluster_id = ${clusterId} and g.state = 'held' and g.id > ${after}
    order by g.id limit ${limit}`.execute(db);
  return rows;
}

/**
 * Forgets requests that are so old and hold nothing any more, with their grants; the ledger keeps every entry.
 * @returns how many requests; as many as `limit` means that there are more.
 */
export async function pruneAllocations(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const { rows } = await sql<{ trimmed: number }>`
    with past as (
      select r.id from grant_requests r where r.at < clock_timestamp() - make_interval(secs => ${keepSeconds})
        and not exists (select 1 from grants g where g.request_id = r.id and g.state = 'held')
      order by r.at limit ${limit} for update of r skip locked
    ), gone as (
      delete from grants g using past where g.request_id = past.id
    ), forgotten as (
      delete from grant_requests r using past where r.id = past.id returning 1
    )
    select count(*) as trimmed from forgotten`.execute(db);
  return rows[0]?.trimmed ?? 0;
}
