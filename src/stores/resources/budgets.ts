import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** What a cluster may use up in all: tokens, usd. What is used does not come back. */
export interface BudgetRow {
  readonly id: string;
  readonly clusterId: string;
  readonly resource: string;
  readonly limit: number;
  readonly reserved: number;
  readonly committed: number;
  /** Spent beyond the limit: nothing is hidden, and nothing more can be reserved against it. */
  readonly overdrawn: number;
  /** limit - reserved - committed - overdrawn, at least 0. */
  readonly left: number;
}

const columns = sql<BudgetRow>`
  b.id, b.cluster_id as "clusterId", b.resource, b.limit_amount as limit, b.reserved, b.committed, b.overdrawn,
  greatest(0, b.limit_amount - b.reserved - b.committed - b.overdrawn) as left`;

/**
 * Writes a budget, or changes its limit.
 * @throws ManagerError `state_conflict` below what is reserved and spent, or when the id is another cluster's or resource's.
 */
export async function putBudget(
  db: ResourcesDb,
  budget: Pick<BudgetRow, 'id' | 'clusterId' | 'resource' | 'limit'>,
): Promise<BudgetRow> {
  const { id, clusterId, resource, limit } = budget;
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
    const { rows } = await sql<BudgetRow>`
      update budgets b set limit_amount = ${limit} where b.id = ${id} returning ${columns}`.execute(tx);
    return rows[0] ?? known;
  });
}

/** @throws ManagerError `not_found`. */
export async function lockBudget(tx: ResourcesDb, id: string): Promise<BudgetRow> {
  const { rows } = await sql<BudgetRow>`select ${columns} from budgets b where b.id = ${id} for no key update`.execute(
    tx,
  );
  if (!rows[0]) throw new ManagerError('not_found', `There is no budget "${id}"`);
  return rows[0];
}

export async function findBudget(db: ResourcesDb, id: string): Promise<BudgetRow | undefined> {
  const { rows } = await sql<BudgetRow>`select ${columns} from budgets b where b.id = ${id}`.execute(db);
  return rows[0];
}

/** The budgets of a cluster by id. @param page.after the last id of the page before. */
export async function budgetsOf(
  db: ResourcesDb,
  clusterId: string,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<BudgetRow[]> {
  const { rows } = await sql<BudgetRow>`
    select ${columns} from budgets b where b.cluster_id = ${clusterId} and b.id > ${after} order by b.id limit ${limit}
  `.execute(db);
  return rows;
}

/** Changes a locked budget, with the entry that says why. */
export async function book(
  tx: ResourcesDb,
  entry: {
    readonly budgetId: string;
    readonly reservationId: string;
    readonly reserved?: number;
    readonly committed?: number;
    readonly overdrawn?: number;
    readonly reason: 'reserved' | 'committed' | 'released' | 'expired';
  },
): Promise<BudgetRow> {
  const { budgetId, reserved = 0, committed = 0, overdrawn = 0 } = entry;
  await sql`
    insert into budget_ledger (budget_id, reservation_id, reserved, committed, overdrawn, reason)
    values (${budgetId}, ${entry.reservationId}, ${reserved}, ${committed}, ${overdrawn}, ${entry.reason})`.execute(tx);
  const { rows } = await sql<BudgetRow>`
    update budgets b set reserved = b.reserved + ${reserved}::numeric, committed = b.committed + ${committed}::numeric,
      overdrawn = b.overdrawn + ${overdrawn}::numeric
    where b.id = ${budgetId} returning ${columns}`.execute(tx);
  if (!rows[0]) throw new ManagerError('not_found', `There is no budget "${budgetId}"`);
  return rows[0];
}

/** Budgets whose numbers are not the sums of their entries, or whose reserved amount is not that of open reservations. */
export async function budgetDifferences(db: ResourcesDb): Promise<{ readonly budgetId: string }[]> {
  const { rows } = await sql<{ budgetId: string }>`
    select b.id as "budgetId" from budgets b
    left join (select budget_id, sum(reserved) as reserved, sum(committed) as committed, sum(overdrawn) as overdrawn
      from budget_ledger group by 1) l on l.budget_id = b.id
    left join (select budget_id, sum(amount) as open from reservations where state = 'open' group by 1) r
      on r.budget_id = b.id
    where (b.reserved, b.committed, b.overdrawn)
        <> (coalesce(l.reserved, 0), coalesce(l.committed, 0), coalesce(l.overdrawn, 0))
      or b.reserved <> coalesce(r.open, 0)
    order by b.id limit 1000`.execute(db);
  return rows;
}
