import { sql } from 'kysely';
import type { Retention } from '../expressions.js';
import type { ResourcesDb, Row } from './schema.js';

const columns = ['no', 'pool', 'resource', 'clusterId', 'delta', 'reason', 'allocationId', 'at'] as const;

export type LedgerEntry = Row<'allocationLedger', typeof columns>;

export interface LedgerFilter {
  readonly pool?: string;
  readonly clusterId?: string;
  /** Only entries before this one: the number of the last one of the page before. */
  readonly before?: number;
  readonly limit: number;
}

/** What was allocated and returned, newest first. */
export const listLedger = (db: ResourcesDb, { pool, clusterId, before, limit }: LedgerFilter): Promise<LedgerEntry[]> =>
  db
    .selectFrom('allocationLedger')
    .select(columns)
    .$if(pool !== undefined, (query) => query.where('pool', '=', pool ?? ''))
    .$if(clusterId !== undefined, (query) => query.where('clusterId', '=', clusterId ?? ''))
    .$if(before !== undefined, (query) => query.where('no', '<', before ?? 0))
    .orderBy('no', 'desc')
    .limit(limit)
    .execute();

export interface LedgerDifference {
  readonly pool: string;
  readonly resource: string;
  /** What the pool says is used, what the ledger adds up to, what the held allocations add up to. */
  readonly used: number;
  readonly ledger: number;
  readonly granted: number;
}

/** Where pools, ledger and allocations disagree: nowhere, unless there is a bug. One statement, so that it reads one moment. */
export async function ledgerDifferences(db: ResourcesDb): Promise<LedgerDifference[]> {
  const { rows } = await sql<LedgerDifference>`
    select pool, resource, coalesce(c.used, 0) as used, coalesce(l.sum, 0) as ledger, coalesce(a.sum, 0) as granted
    from pool_capacities c
    full join (select pool, resource, sum(delta) from allocation_ledger group by 1, 2) l using (pool, resource)
    full join (select pool, resource, sum(amount) from allocations where state = 'held' group by 1, 2) a
      using (pool, resource)
    where coalesce(c.used, 0) <> coalesce(l.sum, 0) or coalesce(c.used, 0) <> coalesce(a.sum, 0)
    order by pool, resource limit 1000`.execute(db);
  return rows;
}

export interface LedgerSum {
  readonly pool: string;
  readonly resource: string;
  readonly sum: number;
  readonly entries: number;
}

/** What the ledger adds up to, by pool and resource: the first 1,000. */
export const ledgerSums = (db: ResourcesDb): Promise<LedgerSum[]> =>
  db
    .selectFrom('allocationLedger')
    .select(({ fn }) => ['pool', 'resource', fn.sum<number>('delta').as('sum'), fn.countAll<number>().as('entries')])
    .groupBy(['pool', 'resource'])
    .orderBy('pool')
    .orderBy('resource')
    .limit(1000)
    .execute();

/**
 * Deletes the entries of allocations that ended long ago, which add up to nothing.
 * @returns of how many allocations; `limit` means that there may be more.
 */
export async function pruneLedger(db: ResourcesDb, { keepSeconds, limit }: Retention): Promise<number> {
  const { rows } = await sql<{ pruned: number }>`
    select prune_allocation_ledger(${keepSeconds}, ${limit}) as pruned`.execute(db);
  return rows[0]?.pruned ?? 0;
}
