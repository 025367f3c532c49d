import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** How much of a resource a cluster holds from all pools together, and the most it may hold; null is no limit. */
export interface QuotaRow {
  readonly resource: string;
  readonly quota: number | null;
  readonly held: number;
}

const columns = ['resource', 'quota', 'allocated as held'] as const;

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
    const rows = await tx
      .selectFrom('quotas')
      .select(columns)
      .where('clusterId', '=', clusterId)
      .orderBy('resource')
      .forNoKeyUpdate()
      .execute();
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
export const quotasOf = (db: ResourcesDb, clusterId: string): Promise<QuotaRow[]> =>
  db
    .selectFrom('quotas')
    .select(columns)
    .where('clusterId', '=', clusterId)
    .where((either) => either.or([either('quota', 'is not', null), either('allocated', '>', 0)]))
    .orderBy('resource')
    .execute();

/**
 * Deletes the quotas of closed accounts that hold nothing. Those of open accounts stay: an allocation may be about to use
 * them.
 * @returns how many; `limit` means that there may be more.
 */
export async function pruneQuotas(db: ResourcesDb, { limit }: { readonly limit: number }): Promise<number> {
  const { numAffectedRows } = await sql`
    with past as (
      select q.cluster_id, q.resource from quotas q join accounts a on a.cluster_id = q.cluster_id
      where a.state = 'closed' and q.allocated = 0 limit ${limit} for update of q skip locked
    )
    delete from quotas q using past where q.cluster_id = past.cluster_id and q.resource = past.resource`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
