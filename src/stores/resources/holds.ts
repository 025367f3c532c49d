import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { requireAmount, requireSeconds } from './amounts.js';
import { book, lockBudget, type BudgetRow } from './budgets.js';
import type { ResourcesDb } from './schema.js';

export interface HoldRow {
  readonly id: string;
  readonly budgetId: string;
  readonly amount: number;
  readonly state: 'open' | 'committed' | 'released' | 'expired';
  /** What was really used; null until that is told. */
  readonly actual: number | null;
  /** How much of it went beyond the limit. */
  readonly overdrawn: number;
  readonly leaseExpiresAt: Date;
  /** The agent that reserved; null when no agent did. */
  readonly reservedBy: string | null;
}

/** A reservation, and its budget after what was done. */
export interface HoldOutcome {
  readonly reservation: HoldRow;
  readonly budget: BudgetRow;
}

const columns = sql<HoldRow>`
  r.id, r.budget_id as "budgetId", r.amount, r.state, r.actual, r.overdrawn, r.lease_expires_at as "leaseExpiresAt",
  r.reserved_by as "reservedBy"`;

/**
 * Sets an amount aside. The same id again changes nothing and finds the reservation as it is.
 * @throws ManagerError `budget_exceeded` with what is left, `state_conflict` for a cluster that was dissolved, `not_found`,
 * `idempotency_conflict`, `invalid_request`.
 */
export async function placeHold(
  db: ResourcesDb,
  wanted: {
    readonly budgetId: string;
    readonly reservationId: string;
    readonly amount: number;
    readonly leaseSeconds: number;
    /** The agent that asks; nobody when it is none. */
    readonly reservedBy?: string | null;
  },
): Promise<HoldOutcome> {
  const { budgetId, reservationId, leaseSeconds, reservedBy = null } = wanted;
  requireAmount('amount', wanted.amount, { aboveZero: true });
  requireSeconds('leaseSeconds', leaseSeconds);
  const amount = Math.round(wanted.amount * 1000) / 1000;
  return inTransaction(db, async (tx) => {
    const budget = await lockBudget(tx, budgetId);
    const known = await findHold(tx, reservationId);
    if (known && (known.budgetId !== budgetId || known.amount !== amount)) throw otherContent(reservationId);
    if (known) return { reservation: known, budget };
    await requireOpenAccount(tx, budget);
    if (amount > budget.left) {
      throw new ManagerError(
        'budget_exceeded',
        `${amount} ${budget.resource} were to be reserved, but of budget "${budgetId}" ${budget.left} of ${budget.limit} ` +
          `is left${budget.overdrawn > 0 ? `, and ${budget.overdrawn} was spent beyond it` : ''}; ` +
          'reserve less, wait for reservations to end, or raise the limit',
      );
    }
    const { rows } = await sql<HoldRow>`
      insert into reservations as r (id, budget_id, amount, reserved_by, lease_expires_at)
      values (${reservationId}, ${budgetId}, ${amount}, ${reservedBy},
        clock_timestamp() + make_interval(secs => ${leaseSeconds}))
      on conflict (id) do nothing returning ${columns}`.execute(tx);
    // Under another budget's lock the same id was used at the same moment.
    if (!rows[0]) throw otherContent(reservationId);
    return {
      reservation: rows[0],
      budget: await book(tx, { budgetId, reservationId, reserved: amount, reason: 'reserved' }),
    };
  });
}

/** Under a lock that holds up the account's closing: once it is closed nothing more is reserved. */
async function requireOpenAccount(tx: ResourcesDb, { id, clusterId }: BudgetRow): Promise<void> {
  const { rows } = await sql<{ state: 'open' | 'closed' }>`
    select state from accounts where cluster_id = ${clusterId} for share`.execute(tx);
  if (!rows[0]) {
    throw new ManagerError(
      'not_found',
      `Budget "${id}" is of cluster "${clusterId}", which has no resource account; form the cluster first`,
    );
  }
  if (rows[0].state === 'open') return;
  throw new ManagerError(
    'state_conflict',
    `Budget "${id}" is of cluster "${clusterId}", whose account is closed: it was dissolved, and spends nothing more. ` +
      'What was reserved before can be committed or released; reserve from the budget of a cluster that is active',
  );
}

const otherContent = (id: string): ManagerError =>
  new ManagerError(
    'idempotency_conflict',
    `Reservation "${id}" already stands for another amount or budget; send the same again, or use a new id`,
  );

/**
 * Says what was really used: it is spent, the rest is free again. More than was reserved takes what is still free, and
 * what goes beyond is overdrawn. A reservation that expired meanwhile is committed all the same: it is spent already.
 * @throws ManagerError `not_found`; `state_conflict` when it was released; `idempotency_conflict` for another amount.
 */
export async function commitHold(db: ResourcesDb, reservationId: string, used: number): Promise<HoldOutcome> {
  requireAmount('actual', used);
  const actual = Math.round(used * 1000) / 1000;
  return withHold(db, reservationId, async (tx, reservation, budget) => {
    if (reservation.state === 'released') {
      throw new ManagerError(
        'state_conflict',
        `Reservation "${reservationId}" was released; what is used after that needs a new reservation`,
      );
    }
    if (reservation.state === 'committed') {
      if (reservation.actual === actual) return { reservation, budget };
      throw new ManagerError(
        'idempotency_conflict',
        `Reservation "${reservationId}" was already committed with ${reservation.actual}, not ${actual}`,
      );
    }
    const held = reservation.state === 'open' ? reservation.amount : 0;
    const { rows } = await sql<{ committed: number; overdrawn: number }>`
      select least(${actual}::numeric, free) as committed, ${actual}::numeric - least(${actual}::numeric, free) as overdrawn
      from (select limit_amount - committed - reserved + ${held}::numeric as free from budgets where id = ${budget.id}) b
    `.execute(tx);
    const { committed = 0, overdrawn = 0 } = rows[0] ?? {};
    return {
      reservation: await end(tx, reservationId, 'committed', { actual, overdrawn }),
      budget: await book(tx, {
        budgetId: budget.id,
        reservationId,
        reserved: -held,
        committed,
        overdrawn,
        reason: 'committed',
      }),
    };
  });
}

/** Gives a reservation back unused; one that ended without being committed is left as it is. @throws ManagerError `not_found`, `state_conflict` when it was committed. */
export async function releaseHold(db: ResourcesDb, reservationId: string): Promise<HoldOutcome> {
  return withHold(db, reservationId, async (tx, reservation, budget) => {
    if (reservation.state === 'committed') {
      throw new ManagerError(
        'state_conflict',
        `Reservation "${reservationId}" was committed with ${reservation.actual}; what is spent does not come back`,
      );
    }
    return reservation.state === 'open' ? releaseAmount(tx, reservation, 'released') : { reservation, budget };
  });
}

/** Ends reservations with a lease that ran out, a chunk at a time. @returns the ids of those that are expired now. */
export async function expireHolds(db: ResourcesDb, limit: number): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select id from reservations where state = 'open' and lease_expires_at <= clock_timestamp()
    order by lease_expires_at limit ${limit}`.execute(db);
  const expired: string[] = [];
  for (const { id } of rows) {
    const { reservation } = await withHold(db, id, async (tx, found, budget) =>
      found.state === 'open' ? releaseAmount(tx, found, 'expired') : { reservation: found, budget },
    );
    if (reservation.state === 'expired') expired.push(id);
  }
  return expired;
}

export async function findHold(db: ResourcesDb, id: string): Promise<HoldRow | undefined> {
  const { rows } = await sql<HoldRow>`select ${columns} from reservations r where r.id = ${id}`.execute(db);
  return rows[0];
}

/**
 * Forgets reservations that ended so long ago, and makes one entry of each budget's old ones, a bounded chunk of both.
 * @returns rows that went; `limit` or more means that there may be more.
 */
export async function pruneHolds(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from reservations where id = any(array(select id from reservations
      where ended_at < now() - make_interval(secs => ${keepSeconds}) order by ended_at limit ${limit}))`.execute(db);
  const { rows } = await sql<{ trimmed: number }>`
    select trim_budget_ledger(${keepSeconds}, ${limit}) as trimmed`.execute(db);
  return Number(numAffectedRows ?? 0n) + (rows[0]?.trimmed ?? 0);
}

/** Everybody locks the budget first: under its lock the reservations of it stand still. */
async function withHold(
  db: ResourcesDb,
  id: string,
  work: (tx: ResourcesDb, reservation: HoldRow, budget: BudgetRow) => Promise<HoldOutcome>,
): Promise<HoldOutcome> {
  return inTransaction(db, async (tx) => {
    const known = await findHold(tx, id);
    const budget = known && (await lockBudget(tx, known.budgetId));
    const reservation = budget && (await findHold(tx, id));
    if (!reservation) throw new ManagerError('not_found', `There is no reservation "${id}"`);
    return work(tx, reservation, budget);
  });
}

async function releaseAmount(
  tx: ResourcesDb,
  { id, budgetId, amount }: HoldRow,
  how: 'released' | 'expired',
): Promise<HoldOutcome> {
  return {
    reservation: await end(tx, id, how),
    budget: await book(tx, { budgetId, reservationId: id, reserved: -amount, reason: how }),
  };
}

async function end(
  tx: ResourcesDb,
  id: string,
  state: HoldRow['state'],
  { actual = null, overdrawn = 0 }: { readonly actual?: number | null; readonly overdrawn?: number } = {},
): Promise<HoldRow> {
  const { rows } = await sql<HoldRow>`
    update reservations r set state = ${state}, actual = ${actual}, overdrawn = ${overdrawn},
      ended_at = clock_timestamp() where r.id = ${id} returning ${columns}`.execute(tx);
  if (!rows[0]) throw new Error(`Reservation ${id} is gone`);
  return rows[0];
}
