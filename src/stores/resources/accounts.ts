import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { QuotasView } from '../../contracts/resources.js';
import { inTransaction } from '../database.js';
import { json, queryRow, queryRows } from '../expressions.js';
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

/** How much of a resource a cluster holds from all pools together, and the most it may hold; null is no limit. */
type QuotaRow = QuotasView['resources'][number];

const quotaColumns = sql`resource, quota, allocated as held`;

/**
 * Sets the quotas of a cluster: a resource that is not named has none any more.
 * @throws ManagerError `state_conflict` when a quota would be below what is held.
 */
export async function setQuotas(
  db: ResourcesDb,
  clusterId: string,
  amounts: Readonly<Record<string, number>>,
): Promise<QuotaRow[]> {
  for (const [resource, amount] of Object.entries(amounts)) requireAmount(`quotas.${resource}`, amount);
  return inTransaction(db, async (tx) => {
    await sql`
      insert into quotas (cluster_id, resource) select ${clusterId}, unnest(${Object.keys(amounts).sort()}::text[])
      on conflict do nothing`.execute(tx);
    const rows = await queryRows<QuotaRow>(tx)`
      select ${quotaColumns} from quotas where cluster_id = ${clusterId} order by resource for no key update`;
    const tooLow = rows
      .filter(({ resource, held }) => Object.hasOwn(amounts, resource) && (amounts[resource] ?? 0) < held)
      .map(({ resource, held }) => `${resource} would be ${amounts[resource]}, but ${held} is held`);
    if (tooLow.length > 0) {
      throw new ManagerError(
        'state_conflict',
        `The quotas of cluster "${clusterId}" cannot be so low: ${tooLow.join('; ')}. ` +
          'Release grants first, or set at least what is held',
      );
    }
    await sql`
      update quotas set quota = (${JSON.stringify(amounts)}::jsonb ->> resource)::numeric where cluster_id = ${clusterId}
    `.execute(tx);
    return quotasOf(tx, clusterId);
  });
}

/** The resources of a cluster that have a quota or of which it holds something, by name. */
export const quotasOf = (db: ResourcesDb, clusterId: string): Promise<QuotaRow[]> => queryRows<QuotaRow>(db)`
  select ${quotaColumns} from quotas where cluster_id = ${clusterId} and (quota is not null or allocated > 0) order by resource`;
