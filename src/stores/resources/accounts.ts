import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { json, queryRow } from '../expressions.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

/** Opens a cluster's resource account once. An account that was closed stays closed. */
export async function openAccount(
  db: ResourcesDb,
  { clusterId, weight, perMember }: { clusterId: string; weight: number; perMember: Readonly<Record<string, number>> },
): Promise<void> {
  await db
    .insertInto('accounts')
    .values({ clusterId, state: 'open', weight, perMember: json(perMember) })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** Closes a cluster's account for good, whether or not it was ever open. */
export async function closeAccount(db: ResourcesDb, clusterId: string): Promise<void> {
  await sql`
    insert into accounts (cluster_id, state, weight, closed_at) values (${clusterId}, 'closed', 1, now())
    on conflict (cluster_id) do update set state = 'closed', closed_at = coalesce(accounts.closed_at, now())`.execute(
    db,
  );
}

export const findAccount = (
  db: ResourcesDb,
  clusterId: string,
): Promise<Pick<Row<'accounts'>, 'state' | 'weight'> | undefined> =>
  db.selectFrom('accounts').select(['state', 'weight']).where('clusterId', '=', clusterId).executeTakeFirst();

/**
 * Twice the weight is twice the share where clusters compete.
 * @throws ManagerError `invalid_request`, `not_found`, `state_conflict` for an account that is closed.
 */
export async function setWeight(db: ResourcesDb, clusterId: string, weight: number): Promise<void> {
  requireAmount('weight', weight, { aboveZero: true });
  const account = await queryRow<Row<'accounts'>>(db)`
    update accounts set weight = case when state = 'open' then ${weight} else weight end
    where cluster_id = ${clusterId} returning *`;
  if (!account) throw new ManagerError('not_found', `Cluster "${clusterId}" has no resource account; form it first`);
  if (account.state === 'closed') {
    throw new ManagerError('state_conflict', `The account of cluster "${clusterId}" is closed: it was dissolved`);
  }
}
