import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** How much a cluster may use up in all: tokens, usd. What is used does not come back. */
export interface BudgetRow {
  readonly id: string;
  readonly clusterId: string;
  readonly resource: string;
  readonly limit: number;
  readonly reserved: number;
  readonly committed: number;
  /** Spent beyond the limit: it is reported, and nothing more can be held while it lasts. */
  readonly overdrawn: number;
  /** limit - reserved - committed - overdrawn, at least 0. */
  readonly left: number;
}

const columns = [
  'id',
  'clusterId',
  'resource',
  'limitAmount as limit',
  'reserved',
  'committed',
  'overdrawn',
  sql<number>`greatest(0, limit_amount - reserved - committed - overdrawn)`.as('left'),
] as const;

const noSuchBudget = (id: string): ManagerError => new ManagerError('not_found', `There is no budget "${id}"`);

/**
 * Creates a budget, or changes its limit.
 * @throws ManagerError `state_conflict` below what is reserved and spent, or when the id is another cluster's or resource's.
 */
export async function putBudget(
  db: ResourcesDb,
  { id, clusterId, resource, limit }: Pick<BudgetRow, 'id' | 'clusterId' | 'resource' | 'limit'>,
): Promise<BudgetRow> {
  requireAmount('limit', limit);
  return inTransaction(db, async (tx) => {
    await tx
      .insertInto('budgets')
      .values({ id, clusterId, resource, limitAmount: limit })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .execute();
    const known = await lockBudget(tx, id);
    if (known.clusterId !== clusterId || known.resource !== resource) {
      throw new ManagerError(
        'state_conflict',
        `Budget "${id}" is one of ${known.resource} of cluster "${known.clusterId}"; use another id for another budget`,
      );
    }
    if (limit < known.reserved + known.committed) {
      throw new ManagerError(
        'state_conflict',
        `Budget "${id}" cannot be ${limit}: ${known.committed} is spent and ${known.reserved} is reserved; ` +
          'set at least their sum',
      );
    }
    return tx
      .updateTable('budgets')
      .set({ limitAmount: limit })
      .where('id', '=', id)
      .returning(columns)
      .executeTakeFirstOrThrow();
  });
}

/** @throws ManagerError `not_found`. */
export const lockBudget = (tx: ResourcesDb, id: string): Promise<BudgetRow> =>
  tx
    .selectFrom('budgets')
    .select(columns)
    .where('id', '=', id)
    .forNoKeyUpdate()
    .executeTakeFirstOrThrow(() => noSuchBudget(id));

export const findBudget = (db: ResourcesDb, id: string): Promise<BudgetRow | undefined> =>
  db.selectFrom('budgets').select(columns).where('id', '=', id).executeTakeFirst();

/** The budgets of a cluster by id. @param page.after the last id of the page before. */
export const budgetsOf = (
  db: ResourcesDb,
  clusterId: string,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<BudgetRow[]> =>
  db
    .selectFrom('budgets')
    .select(columns)
    .where('clusterId', '=', clusterId)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute();

/** Changes a locked budget, and writes the ledger entry that explains it. */
export async function changeBudget(
  tx: ResourcesDb,
  entry: {
    readonly budgetId: string;
    readonly holdId: string;
    readonly reserved?: number;
    readonly committed?: number;
    readonly overdrawn?: number;
    readonly reason: 'reserved' | 'committed' | 'released' | 'expired';
  },
): Promise<BudgetRow> {
  const { budgetId, reserved = 0, committed = 0, overdrawn = 0 } = entry;
  await tx
    .insertInto('budgetLedger')
    .values({ ...entry, reserved, committed, overdrawn })
    .execute();
  return tx
    .updateTable('budgets')
    .set({
      reserved: sql`reserved + ${reserved}::numeric`,
      committed: sql`committed + ${committed}::numeric`,
      overdrawn: sql`overdrawn + ${overdrawn}::numeric`,
    })
    .where('id', '=', budgetId)
    .returning(columns)
    .executeTakeFirstOrThrow(() => noSuchBudget(budgetId));
}

/** Budgets whose amounts are not the sums of their entries, or whose reserved amount is not that of their open holds. */
export async function budgetDifferences(db: ResourcesDb): Promise<{ readonly budgetId: string }[]> {
  const { rows } = await sql<{ budgetId: string }>`
    select b.id as budget_id from budgets b
    left join (select budget_id, sum(reserved) as reserved, sum(committed) as committed, sum(overdrawn) as overdrawn
      from budget_ledger group by 1) l on l.budget_id = b.id
    left join (select budget_id, sum(amount) as open from holds where state = 'open' group by 1) h on h.budget_id = b.id
    where (b.reserved, b.committed, b.overdrawn)
        <> (coalesce(l.reserved, 0), coalesce(l.committed, 0), coalesce(l.overdrawn, 0))
      or b.reserved <> coalesce(h.open, 0)
    order by b.id limit 1000`.execute(db);
  return rows;
}
