import { ManagerError } from '../../contracts/errors.js';
import type { BudgetView } from '../../contracts/resources.js';
import { inTransaction } from '../database.js';
import { now, queryRow, queryValues, secondsFromNow } from '../expressions.js';
import { requireAmount, requireSeconds, roundAmount } from './amounts.js';
import { changeBudget, lockBudget } from './budgets.js';
import type { ResourcesDb, Row } from './schema.js';

export type HoldRow = Row<'holds'>;

/** A hold and its budget after a change. */
export interface HoldOutcome {
  readonly reservation: HoldRow;
  readonly budget: BudgetView;
}

/**
 * Reserves an amount of a budget. The same id again changes nothing and returns the hold as it is.
 * @throws ManagerError `budget_exceeded` with what is left, `state_conflict` for a cluster that was dissolved, `not_found`,
 * `idempotency_conflict`, `invalid_request`.
 */
export async function placeHold(
  db: ResourcesDb,
  wanted: Pick<HoldRow, 'budgetId' | 'amount'> &
    Partial<Pick<HoldRow, 'reservedBy'>> & { readonly holdId: string; readonly leaseSeconds: number },
): Promise<HoldOutcome> {
  const { budgetId, holdId, leaseSeconds, reservedBy = null } = wanted;
  requireAmount('amount', wanted.amount, { aboveZero: true });
  requireSeconds('leaseSeconds', leaseSeconds);
  const amount = roundAmount(wanted.amount);
  return inTransaction(db, async (tx) => {
    const budget = await lockBudget(tx, budgetId);
    const known = await findHold(tx, holdId);
    if (known && (known.budgetId !== budgetId || known.amount !== amount)) throw otherContent(holdId);
    if (known) return { reservation: known, budget };
    await requireOpenAccount(tx, budget);
    if (amount > budget.left) throw budgetExceeded(budget, amount);
    const reservation = await tx
      .insertInto('holds')
      .values({ id: holdId, budgetId, amount, reservedBy, leaseExpiresAt: secondsFromNow(leaseSeconds) })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returningAll()
      // The same id was used at the same moment under another budget's lock.
      .executeTakeFirstOrThrow(() => otherContent(holdId));
    const change = { budgetId, holdId, reserved: amount, reason: 'reserved' } as const;
    return { reservation, budget: await changeBudget(tx, change) };
  });
}

/** Locks the account, so that it cannot be closed meanwhile: nothing is reserved after it is closed. */
async function requireOpenAccount(tx: ResourcesDb, { id, clusterId }: BudgetView): Promise<void> {
  const account = await queryRow<Pick<Row<'accounts'>, 'state'>>(tx)`
    select state from accounts where cluster_id = ${clusterId} for share`;
  if (!account) {
    throw new ManagerError(
      'not_found',
      `Budget "${id}" is of cluster "${clusterId}", which has no resource account; form the cluster first`,
    );
  }
  if (account.state === 'open') return;
  throw new ManagerError(
    'state_conflict',
    `Budget "${id}" is of cluster "${clusterId}", whose account is closed: it was dissolved, and spends nothing more. ` +
      'What was reserved before can be committed or released; reserve from the budget of a cluster that is active',
  );
}

const budgetExceeded = ({ id, resource, left, limit, overdrawn }: BudgetView, amount: number): ManagerError =>
  new ManagerError(
    'budget_exceeded',
    `${amount} ${resource} were to be reserved, but of budget "${id}" ${left} of ${limit} ` +
      `is left${overdrawn > 0 ? `, and ${overdrawn} was spent beyond it` : ''}; ` +
      'reserve less, wait for reservations to end, or raise the limit',
  );

const otherContent = (id: string): ManagerError =>
  new ManagerError(
    'idempotency_conflict',
    `Reservation "${id}" was made with another amount or budget; send the same again, or use a new id`,
  );

/**
 * Records what was used: it is spent, and the rest of the hold is free again. More than was held takes what the budget has
 * left, and what goes beyond is overdrawn. A hold that has expired is committed all the same: its amount is spent already.
 * @param maxOverrun the most that may be used, as a multiple of the hold.
 * @throws ManagerError `not_found`; `state_conflict` when it was released; `idempotency_conflict` for another amount;
 * `budget_exceeded` above `maxOverrun`.
 */
export async function commitHold(
  db: ResourcesDb,
  holdId: string,
  used: number,
  maxOverrun = Infinity,
): Promise<HoldOutcome> {
  requireAmount('actual', used);
  const actual = roundAmount(used);
  return endHold(db, holdId, async (hold, tx) => {
    if (hold.state === 'released') {
      throw new ManagerError(
        'state_conflict',
        `Reservation "${holdId}" was released; what is used after that needs a new reservation`,
      );
    }
    if (hold.state === 'committed') {
      if (hold.actual === actual) return undefined;
      throw new ManagerError(
        'idempotency_conflict',
        `Reservation "${holdId}" was already committed with ${hold.actual}, not ${actual}`,
      );
    }
    if (actual > hold.amount * maxOverrun) {
      throw new ManagerError(
        'budget_exceeded',
        `${actual} was to be committed, but reservation "${holdId}" is for ${hold.amount} and scaling.max_overrun allows ` +
          `${maxOverrun} times as much; commit what was used, or ask an admin to raise scaling.max_overrun`,
      );
    }
    const held = hold.state === 'open' ? hold.amount : 0;
    // PostgreSQL's numeric is exact, where floating point is not.
    const spent = await queryRow<{ committed: number; overdrawn: number }>(tx)`
      select least(${actual}::numeric, free) as committed, ${actual}::numeric - least(${actual}::numeric, free) as overdrawn
      from (select limit_amount - committed - reserved + ${held}::numeric as free from budgets where id = ${hold.budgetId}) b`;
    return { state: 'committed', reserved: -held, actual, ...spent };
  });
}

/** Ends a hold unused; one that was released or has expired stays as it is. @throws ManagerError `not_found`, `state_conflict` when it was committed. */
export const releaseHold = (db: ResourcesDb, holdId: string): Promise<HoldOutcome> =>
  endHold(db, holdId, (hold) => {
    if (hold.state === 'committed') {
      throw new ManagerError(
        'state_conflict',
        `Reservation "${holdId}" was committed with ${hold.actual}; what is spent does not come back`,
      );
    }
    return hold.state === 'open' ? { state: 'released', reserved: -hold.amount } : undefined;
  });

/** Ends holds whose lease has run out, at most `limit`. @returns the ids of those that are expired now. */
export async function expireHolds(db: ResourcesDb, limit: number): Promise<string[]> {
  const due = await queryValues<string>(db)`
    select id from holds where state = 'open' and lease_expires_at <= ${now} order by lease_expires_at limit ${limit}`;
  const expired: string[] = [];
  for (const id of due) {
    const { reservation } = await endHold(db, id, ({ state, amount }) =>
      state === 'open' ? { state: 'expired', reserved: -amount } : undefined,
    );
    if (reservation.state === 'expired') expired.push(id);
  }
  return expired;
}

export const findHold = (db: ResourcesDb, id: string): Promise<HoldRow | undefined> =>
  db.selectFrom('holds').selectAll().where('id', '=', id).executeTakeFirst();

/** What the end of a hold changes, in the hold and in its budget. */
interface HoldEnd extends Partial<Pick<HoldRow, 'actual' | 'overdrawn'>> {
  readonly state: Exclude<HoldRow['state'], 'open'>;
  readonly reserved: number;
  readonly committed?: number;
}

/**
 * Ends a hold as `decide` says, which returns undefined to leave it as it is. Every change of a hold locks the budget
 * first: no hold of it changes under that lock.
 */
const endHold = (
  db: ResourcesDb,
  id: string,
  decide: (hold: HoldRow, tx: ResourcesDb) => Promise<HoldEnd | undefined> | HoldEnd | undefined,
): Promise<HoldOutcome> =>
  inTransaction(db, async (tx) => {
    const known = await findHold(tx, id);
    const budget = known && (await lockBudget(tx, known.budgetId));
    const hold = budget && (await findHold(tx, id));
    if (!hold) throw new ManagerError('not_found', `Reservation "${id}" does not exist`);
    const end = await decide(hold, tx);
    if (!end) return { reservation: hold, budget };
    const { state, reserved, actual = null, committed = 0, overdrawn = 0 } = end;
    const reservation = await tx
      .updateTable('holds')
      .set({ state, actual, overdrawn, endedAt: now })
      .where('id', '=', id)
      .returningAll()
      .executeTakeFirstOrThrow();
    const entry = { budgetId: budget.id, holdId: id, reserved, committed, overdrawn, reason: state };
    return { reservation, budget: await changeBudget(tx, entry) };
  });
