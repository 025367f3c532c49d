import type { ResourcesView } from '../../contracts/resources.js';
import { newestRows, queryRows } from '../expressions.js';
import type { ResourcesDb, Row } from './schema.js';

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
