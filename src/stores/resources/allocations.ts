import { sql, type RawBuilder } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { AllocationAnswer, NewAllocation, ResourcesView } from '../../contracts/resources.js';
import { newestRows, queryRows, queryValue, queryValues, secondsFromNow } from '../expressions.js';
import { retryOnDeadlock } from '../database.js';
import { requireAmount, requireSeconds, roundAmount } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

/** @property requestId the same id again gets the same answer and takes nothing. */
export type AllocationRequest = Required<NewAllocation> & { readonly operationId: string };

export type AllocationRow = Row<'allocations'>;

/** Amounts that could not be had: `free` is what the pool, or the cluster's quota, has left. */
type Shortages = AllocationAnswer['shortages'];

export type AllocationOutcome =
  | { readonly state: 'granted'; readonly grants: readonly AllocationRow[] }
  | { readonly state: 'short'; readonly what: Shortages };

type Answer =
  | { readonly granted: true }
  | { readonly short: Shortages }
  | { readonly refused: 'no_account' | 'closed' }
  | { readonly refused: 'conflict'; readonly at: string }
  | { readonly refused: 'unknown'; readonly what: readonly { readonly pool: string; readonly resource: string }[] };

/**
 * Allocates every amount of a request, or none, in one transaction under the locks of the capacities.
 * A shortage is an answer like any other and is kept, too: a caller that tries again uses a new id.
 * @throws ManagerError `invalid_request`, `not_found` for a pool or account that does not exist, `state_conflict` for an
 * account that is closed, `idempotency_conflict` when the id was used with another content.
 */
export async function allocate(db: ResourcesDb, request: AllocationRequest): Promise<AllocationOutcome> {
  const { requestId, clusterId, operationId, leaseSeconds } = request;
  const amounts = JSON.stringify(validAmounts(request));
  const answer = await retryOnDeadlock(
    () => queryValue<Answer>(db)`
      select allocate(${requestId}, ${clusterId}, ${operationId}, ${amounts}::jsonb, ${leaseSeconds})`,
  );
  if (!answer) throw new Error(`The request ${requestId} was not answered`);
  if ('short' in answer) return { state: 'short', what: answer.short };
  if ('refused' in answer) throw refusalOf(request, answer);
  const grants = await queryRows<AllocationRow>(db)`
    select * from allocations where request_id = ${requestId} order by id`;
  return { state: 'granted', grants };
}

/** Sorted, so that the same content in another order is the same request. */
function validAmounts({ amounts, leaseSeconds }: AllocationRequest): AllocationRequest['amounts'] {
  requireSeconds('leaseSeconds', leaseSeconds);
  if (amounts.length === 0) throw new ManagerError('invalid_request', 'amounts is empty; ask for at least one');
  const byKey = new Map<string, AllocationRequest['amounts'][number]>();
  for (const [index, { pool, resource, amount }] of amounts.entries()) {
    requireAmount(`amounts[${index}].amount`, amount, { aboveZero: true });
    const key = JSON.stringify([pool, resource]);
    if (byKey.has(key)) {
      throw new ManagerError('invalid_request', `${resource} of "${pool}" is asked for twice; ask once for the sum`);
    }
    byKey.set(key, { pool, resource, amount: roundAmount(amount) });
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, amount]) => amount);
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
        `"${requestId}" was used for another request at ${answer.at}; send the same again, or use a new id`,
      );
    case 'unknown':
      return new ManagerError(
        'not_found',
        `${answer.what.map(({ pool, resource }) => `Pool "${pool}" has no ${resource}`).join(', ')}; ` +
          'add it to the pool, or ask for what the pools list',
      );
    default:
      return answer satisfies never;
  }
}

/** Releases held allocations; those that have ended are passed over. @returns the ids of those that it ended. */
export const releaseAllocation = (
  db: ResourcesDb,
  which: { readonly allocationIds: readonly number[] } | { readonly clusterId: string },
): Promise<number[]> =>
  endAllocations(
    db,
    'allocationIds' in which
      ? sql`${[...which.allocationIds]}::bigint[]`
      : sql`array(select id from allocations where cluster_id = ${which.clusterId} and state = 'held')`,
    'released',
  );

/** Ends allocations whose lease has run out, at most `limit`. @returns their ids. */
export const expireAllocations = (db: ResourcesDb, limit: number): Promise<number[]> =>
  endAllocations(
    db,
    sql`array(select id from allocations where state = 'held' and lease_expires_at <= clock_timestamp()
      order by lease_expires_at limit ${limit})`,
    'expired',
  );

const endAllocations = (db: ResourcesDb, ids: RawBuilder<unknown>, state: 'released' | 'expired'): Promise<number[]> =>
  retryOnDeadlock(() => queryValues<number>(db)`select end_allocations(${ids}, ${state})`);

/**
 * Sets the leases of held allocations to end in `leaseSeconds` from now.
 * @returns the ids of those that are held; one whose lease has run out counts as held until it is expired.
 */
export async function extendAllocations(
  db: ResourcesDb,
  allocationIds: readonly number[],
  leaseSeconds: number,
): Promise<number[]> {
  requireSeconds('leaseSeconds', leaseSeconds);
  const extended = await queryValues<number>(db)`
    with held as (
      select id from allocations where id = any(${[...allocationIds]}::bigint[]) and state = 'held'
      order by id for no key update
    )
    update allocations a set lease_expires_at = ${secondsFromNow(leaseSeconds)}
    from held where a.id = held.id returning a.id`;
  return extended.sort((a, b) => a - b);
}

/** An allocation, held or ended. */
export const findAllocation = (db: ResourcesDb, id: number): Promise<AllocationRow | undefined> =>
  db.selectFrom('allocations').selectAll().where('id', '=', id).executeTakeFirst();

/** The held allocations of a cluster by id. @param page.after the last id of the page before. */
export const allocationsOf = (
  db: ResourcesDb,
  clusterId: string,
  { after = 0, limit }: { readonly after?: number; readonly limit: number },
): Promise<AllocationRow[]> => queryRows<AllocationRow>(db)`
  select * from allocations where cluster_id = ${clusterId} and state = 'held' and id > ${after} order by id limit ${limit}`;

export type LedgerEntry = Row<'allocationLedger'>;

/** What was allocated and returned, newest first. @param filter.after the `no` of the last entry of the page before. */
export const listLedger = (
  db: ResourcesDb,
  {
    pool,
    clusterId,
    ...page
  }: { readonly pool?: string; readonly clusterId?: string; readonly after?: number; readonly limit: number },
): Promise<LedgerEntry[]> => newestRows(db, 'allocationLedger', { pool, clusterId }, page);

/**
 * Where pools, ledger and allocations disagree: nowhere, unless there is a bug. One statement, so that it reads one moment.
 * @returns `used` as the pool says, `ledger` as the entries add up, `granted` as the held allocations add up.
 */
export const ledgerDifferences = (db: ResourcesDb) =>
  queryRows<Pick<LedgerEntry, 'pool' | 'resource'> & Readonly<Record<'used' | 'ledger' | 'granted', number>>>(db)`
    select pool, resource, coalesce(c.used, 0) as used, coalesce(l.sum, 0) as ledger, coalesce(a.sum, 0) as granted
    from pool_capacities c
    full join (select pool, resource, sum(delta) from allocation_ledger group by 1, 2) l using (pool, resource)
    full join (select pool, resource, sum(amount) from allocations where state = 'held' group by 1, 2) a
      using (pool, resource)
    where coalesce(c.used, 0) <> coalesce(l.sum, 0) or coalesce(c.used, 0) <> coalesce(a.sum, 0)
    order by pool, resource limit 1000`;

/** What the ledger adds up to, by pool and resource: the first 1,000. */
export const ledgerSums = (db: ResourcesDb) => queryRows<ResourcesView['ledger']['sums'][number]>(db)`
  select pool, resource, sum(delta) as sum, count(*) as entries from allocation_ledger
  group by pool, resource order by pool, resource limit 1000`;
