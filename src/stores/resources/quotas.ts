import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { queryRows } from '../expressions.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** How much of a resource a cluster holds from all pools together, and the most it may hold; null is no limit. */
export interface QuotaRow {
  readonly resource: string;
  readonly quota: number | null;
  readonly held: number;
}

const columns = sql`resource, quota, allocated as held`;

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
      select ${columns} from quotas where cluster_id = ${clusterId} order by resource for no key update`;
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
  select ${columns} from quotas where cluster_id = ${clusterId} and (quota is not null or allocated > 0) order by resource`;
