import { countChanged, deletePast, queryValue, secondsAgo, type Retention } from '../expressions.js';
import type { ResourcesDb } from './schema.js';

/**
 * Deletes rows that are past a retention, at most `limit` in each table.
 * @returns rows deleted; `limit` or more means that there may be more.
 */
type Prune = (db: ResourcesDb, retention: Retention) => Promise<number>;

/** Deletes rows of tables by a column with their time. */
const pruneTables =
  (...tables: readonly (readonly [table: string, column: string])[]): Prune =>
  async (db, retention) => {
    let deleted = 0;
    for (const [table, column] of tables) deleted += await deletePast(db, table, column, retention);
    return deleted;
  };

export const pruneDecisions = pruneTables(['decisions', 'at']);
export const pruneCapacityRequests = pruneTables(['capacityRequests', 'answeredAt']);
export const pruneScores = pruneTables(['stabilityScores', 'at']);

/** The retention must be longer than the window, the flap budget and a reversal together. */
export const pruneScalingMemory = pruneTables(
  ['recommendations', 'at'],
  ['scalingChanges', 'at'],
  ['scalingBlocks', 'until'],
);

export const pruneUsage: Prune = async (db, { keepSeconds, limit }) =>
  (await deletePast(db, 'usageRollups', 'slot', { keepSeconds, limit })) +
  (await countChanged(db)`
    delete from usage_latest where ctid = any(array(select ctid from usage_latest
      where last_at < (extract(epoch from now()) - ${keepSeconds}) * 1000 limit ${limit}))`);

/** Deletes holds that ended long ago, and merges the old ledger entries of each budget into one. */
export const pruneHolds: Prune = async (db, { keepSeconds, limit }) =>
  (await deletePast(db, 'holds', 'endedAt', { keepSeconds, limit })) +
  ((await queryValue<number>(db)`select prune_budget_ledger(${keepSeconds}, ${limit})`) ?? 0);

/** Deletes the entries of allocations that ended long ago, which add up to nothing. Counts allocations. */
export const pruneLedger: Prune = async (db, { keepSeconds, limit }) =>
  (await queryValue<number>(db)`select prune_allocation_ledger(${keepSeconds}, ${limit})`) ?? 0;

/** Deletes requests of which nothing is held, with their allocations; the ledger keeps its entries. Counts requests. */
export const pruneAllocations: Prune = (db, { keepSeconds, limit }) =>
  countChanged(db)`
    with past as (
      select r.id from allocation_requests r where r.at < ${secondsAgo(keepSeconds)}
        and not exists (select 1 from allocations a where a.request_id = r.id and a.state = 'held')
      order by r.at limit ${limit} for update of r skip locked
    ), without_allocations as (
      delete from allocations a using past where a.request_id = past.id
    )
    delete from allocation_requests r using past where r.id = past.id`;

/** Deletes the quotas of closed accounts that hold nothing. Those of open accounts stay: an allocation may be about to use them. */
export const pruneQuotas = (db: ResourcesDb, { limit }: { readonly limit: number }): Promise<number> =>
  countChanged(db)`
    with past as (
      select q.cluster_id, q.resource from quotas q join accounts a on a.cluster_id = q.cluster_id
      where a.state = 'closed' and q.allocated = 0 limit ${limit} for update of q skip locked
    )
    delete from quotas q using past where q.cluster_id = past.cluster_id and q.resource = past.resource`;
