import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** What a cluster holds of a resource in all pools together, and the most it may; null is no bound. */
export interface QuotaRow {
  readonly resource: string;
  readonly quota: number | null;
  readonly held: number;
}

/**
 * Makes the quotas of a cluster what is given; a resource that is not named has none any more.
 * @throws ManagerError `state_conflict` when one would be below what is held.
 */
export async function setQuotas(
  db: ResourcesDb,
  clusterId: string,
  amounts: Readonly<Record<string, number>>,
): Promise<QuotaRow[]> {
  for (const [resource, amount] of Object.entries(amounts)) requireAmount(`quotas.${resource}`, amount);
  return inTransaction(db, async (tx) => {
    const resources = Object.keys(amounts).sort();
    await sql`
      insert into holdings (cluster_id, resource) select ${clusterId}, unnest(${resources}::text[]) on conflict do nothing
    `.execute(tx);
    const { rows } = await sql<QuotaRow>`
      select resource, quota, held from holdings where cluster_id = ${clusterId} order by resource for no key update
    `.execute(tx);
    const short = rows.filter(
      ({ resource, held }) => Object.hasOwn(amounts, resource) && (amounts[resource] ?? 0) < held,
    );
    if (short.length > 0) {
      throw new ManagerError(
        'state_conflict',
        `The quotas of cluster "${clusterId}" cannot be so low: ` +
          short
            .map(({ resource, held }) => `${resource} would be ${amounts[resource]}, but ${held} is held`)
            .join('; ') +
          '. Release grants first, or set at least what is held',
      );
    }
    await sql`
      update holdings set quota = (${JSON.stringify(amounts)}::jsonb ->> resource)::numeric where cluster_id = ${clusterId}
    `.execute(tx);
    return quotasOf(tx, clusterId);
  });
}

/** By resource: those with a quota, and those of which something is held. */
export async function quotasOf(db: ResourcesDb, clusterId: string): Promise<QuotaRow[]> {
  const { rows } = await sql<QuotaRow>`
    select resource, quota, held from holdings where cluster_id = ${clusterId} and (quota is not null or held > 0)
    order by resource`.execute(db);
  return rows;
}

/**
 * Deletes what is kept of clusters that are granted nothing more and hold nothing, a chunk at a time. Not those of an open
 * account, which may be about to hold something.
 * @returns how many; as many as `limit` means that there may be more.
 */
export async function pruneHoldings(db: ResourcesDb, { limit }: { readonly limit: number }): Promise<number> {
  const { numAffectedRows } = await sql`
    with past as (
      select h.cluster_id, h.resource from holdings h join accounts a on a.cluster_id = h.cluster_id
      where a.state = 'closed' and h.held = 0 limit ${limit} for update of h skip locked
    )
    delete from holdings h using past where h.cluster_id = past.cluster_id and h.resource = past.resource`.execute(db);
  return Number(numAffectedRows ?? 0n);
}

/**
 * Twice the weight is twice the share where clusters compete.
 * @throws ManagerError `invalid_request`, `not_found`, `state_conflict` for an account that is closed.
 */
export async function setWeight(db: ResourcesDb, clusterId: string, weight: number): Promise<void> {
  requireAmount('weight', weight, { aboveZero: true });
  const { rows } = await sql<{ state: string }>`
    update accounts set weight = case when state = 'open' then ${weight} else weight end
    where cluster_id = ${clusterId} returning state`.execute(db);
  if (!rows[0]) throw new ManagerError('not_found', `Cluster "${clusterId}" has no resource account; form it first`);
  if (rows[0].state === 'closed') {
    throw new ManagerError('state_conflict', `The account of cluster "${clusterId}" is closed: it was dissolved`);
  }
}
