import { sql } from 'kysely';
import type { ResourcesDb } from './schema.js';

export interface LedgerEntry {
  readonly no: number;
  readonly pool: string;
  readonly resource: string;
  readonly clusterId: string;
  /** Above 0 when taken, below when given back. */
  readonly delta: number;
  readonly reason: 'taken' | 'released' | 'expired';
  readonly grantId: number;
  readonly at: Date;
}

export interface LedgerFilter {
  readonly pool?: string;
  readonly clusterId?: string;
  /** Only entries before this one: the number of the last one of the page before. */
  readonly before?: number;
  readonly limit: number;
}

/** What was taken and given back, newest first. */
export async function listLedger(db: ResourcesDb, filter: LedgerFilter): Promise<LedgerEntry[]> {
  const { rows } = await sql<LedgerEntry>`
    select no, pool, resource, cluster_id as "clusterId", delta, reason, grant_id as "grantId", at from ledger
    where (${filter.pool ?? null}::text is null or pool = ${filter.pool ?? null})
      and (${filter.clusterId ?? null}::text is null or cluster_id = ${filter.clusterId ?? null})
      and (${filter.before ?? null}::bigint is null or no < ${filter.before ?? null})
    order by no desc limit ${filter.limit}`.execute(db);
  return rows;
}

export interface LedgerDifference {
  readonly pool: string;
  readonly resource: string;
  /** What the pool says is used, what the ledger adds up to, what the held grants add up to. */
  readonly used: number;
  readonly ledger: number;
  readonly granted: number;
}

/** Where the books do not agree: never, if this returns nothing. One statement, so that it looks at one moment. */
export async function ledgerDifferences(db: ResourcesDb): Promise<LedgerDifference[]> {
  const { rows } = await sql<LedgerDifference>`
    select pool, resource, coalesce(c.used, 0) as used, coalesce(l.sum, 0) as ledger, coalesce(g.sum, 0) as granted
    from pool_capacities c
    full join (select pool, resource, sum(delta) from ledger group by 1, 2) l using (pool, resource)
    full join (select pool, resource, sum(amount) from grants where state = 'held' group by 1, 2) g using (pool, resource)
    where coalesce(c.used, 0) <> coalesce(l.sum, 0) or coalesce(c.used, 0) <> coalesce(g.sum, 0)
    order by pool, resource limit 1000`.execute(db);
  return rows;
}

/**
 * Deletes the entries of grants that ended so long ago, which add up to nothing, a chunk at a time.
 * @returns of how many grants; as many as `limit` means that there are more.
 */
export async function pruneLedger(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const { rows } = await sql<{ trimmed: number }>`select trim_ledger(${keepSeconds}, ${limit}) as trimmed`.execute(db);
  return rows[0]?.trimmed ?? 0;
}
