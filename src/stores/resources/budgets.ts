import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { BudgetView } from '../../contracts/resources.js';
import { inTransaction } from '../database.js';
import { queryRow, queryRows } from '../expressions.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

const columns = sql`id, cluster_id, resource, limit_amount as "limit", reserved, committed, overdrawn,
  greatest(0, limit_amount - reserved - committed - overdrawn) as "left"`;

const noSuchBudget = (id: string): ManagerError => new ManagerError('not_found', `Budget "${id}" does not exist`);

/**
 * Creates a budget, or changes its limit.
 * @throws ManagerError `state_conflict` below what is reserved and spent, or when the id is another cluster's or resource's.
 */
export async function putBudget(
  db: ResourcesDb,
  { id, clusterId, resource, limit }: Pick<BudgetView, 'id' | 'clusterId' | 'resource' | 'limit'>,
): Promise<BudgetView> {
  requireAmount('limit', limit);
  return inTransaction(db, async (tx) => {
    await sql`
      insert into budgets (id, cluster_id, resource, limit_amount) values (${id}, ${clusterId}, ${resource}, ${limit})
      on conflict (id) do nothing`.execute(tx);
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
    await tx.updateTable('budgets').set({ limitAmount: limit }).where('id', '=', id).execute();
    return lockBudget(tx, id);
  });
}

/** @throws ManagerError `not_found`. */
export async function lockBudget(tx: ResourcesDb, id: string): Promise<BudgetView> {
  const budget = await queryRow<BudgetView>(tx)`select ${columns} from budgets where id = ${id} for no key update`;
  if (!budget) throw noSuchBudget(id);
  return budget;
}

export const findBudget = (db: ResourcesDb, id: string): Promise<BudgetView | undefined> =>
  queryRow<BudgetView>(db)`select ${columns} from budgets where id = ${id}`;

/** The budgets of a cluster by id. @param page.after the last id of the page before. */
export const budgetsOf = (
  db: ResourcesDb,
  clusterId: string,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<BudgetView[]> => queryRows<BudgetView>(db)`
  select ${columns} from budgets where cluster_id = ${clusterId} and id > ${after} order by id limit ${limit}`;

/** Changes a locked budget, and writes the ledger entry that explains it. */
export async function changeBudget(
  tx: ResourcesDb,
  entry: Pick<Row<'budgetLedger'>, 'budgetId' | 'holdId' | 'reason'> &
    Partial<Pick<Row<'budgetLedger'>, 'reserved' | 'committed' | 'overdrawn'>>,
): Promise<BudgetView> {
  const { budgetId, reserved = 0, committed = 0, overdrawn = 0 } = entry;
  await tx
    .insertInto('budgetLedger')
    .values({ ...entry, reserved, committed, overdrawn })
    .execute();
  const budget = await queryRow<BudgetView>(tx)`
    update budgets set reserved = reserved + ${reserved}::numeric, committed = committed + ${committed}::numeric,
      overdrawn = overdrawn + ${overdrawn}::numeric
    where id = ${budgetId} returning ${columns}`;
  if (!budget) throw noSuchBudget(budgetId);
  return budget;
}

/** Budgets whose amounts are not the sums of their entries, or whose reserved amount is not that of their open holds. */
export const budgetDifferences = (db: ResourcesDb): Promise<{ readonly budgetId: string }[]> =>
  queryRows<{ budgetId: string }>(db)`
    select b.id as budget_id from budgets b
    left join (select budget_id, sum(reserved) as reserved, sum(committed) as committed, sum(overdrawn) as overdrawn
      from budget_ledger group by 1) l on l.budget_id = b.id
    left join (select budget_id, sum(amount) as open from holds where state = 'open' group by 1) h on h.budget_id = b.id
    where (b.reserved, b.committed, b.overdrawn)
        <> (coalesce(l.reserved, 0), coalesce(l.committed, 0), coalesce(l.overdrawn, 0))
      or b.reserved <> coalesce(h.open, 0)
    order by b.id limit 1000`;
