import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import type { PoolView } from '../../contracts/resources.js';
import { inTransaction } from '../database.js';
import { queryRows } from '../expressions.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

/** Capacity that clusters share, such as an LLM provider's tokensPerMinute. */
export type PoolRow = Row<'pools'> & Pick<PoolView, 'resources'>;

const selectPools = (db: ResourcesDb) =>
  db.selectFrom('pools').select([
    'name',
    'labels',
    'createdAt',
    sql<PoolView['resources']>`coalesce((
      select jsonb_object_agg(c.resource, jsonb_build_object('capacity', c.capacity, 'used', c.used))
      from pool_capacities c where c.pool = pools.name), '{}')`.as('resources'),
  ]);

export const findPool = (db: ResourcesDb, name: string): Promise<PoolRow | undefined> =>
  selectPools(db).where('name', '=', name).executeTakeFirst();

/** By name. @param page.after the last name of the page before. */
export const listPools = (
  db: ResourcesDb,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<PoolRow[]> => selectPools(db).where('name', '>', after).orderBy('name').limit(limit).execute();

/**
 * Creates or replaces a pool: capacities that are not named are removed.
 * @throws ManagerError `state_conflict` when a capacity would be below what is used of it.
 */
export async function putPool(
  db: ResourcesDb,
  pool: {
    readonly name: string;
    readonly capacity: Readonly<Record<string, number>>;
    readonly labels?: Readonly<Record<string, string>>;
  },
): Promise<PoolRow> {
  const { name, capacity } = pool;
  for (const [resource, amount] of Object.entries(capacity)) requireAmount(`capacity.${resource}`, amount);
  const labels = JSON.stringify(pool.labels ?? {});
  return inTransaction(db, async (tx) => {
    await sql`
      insert into pools (name, labels) values (${name}, ${labels}::jsonb)
      on conflict (name) do update set labels = excluded.labels`.execute(tx);
    await refuseBelowUsed(tx, name, capacity);
    await sql`
      delete from pool_capacities where pool = ${name} and resource <> all(${Object.keys(capacity)}::text[])
    `.execute(tx);
    await sql`
      insert into pool_capacities (pool, resource, capacity)
      select ${name}, key, value::numeric from jsonb_each_text(${JSON.stringify(capacity)}::jsonb) order by key
      on conflict (pool, resource) do update set capacity = excluded.capacity`.execute(tx);
    const written = await findPool(tx, name);
    if (!written) throw new Error(`Pool ${name} was not written`);
    return written;
  });
}

/** Locks the capacities of a pool and compares them with what is used. A capacity that is not named becomes 0. */
async function refuseBelowUsed(
  tx: ResourcesDb,
  pool: string,
  capacity: Readonly<Record<string, number>>,
): Promise<void> {
  const rows = await queryRows<Row<'poolCapacities'>>(tx)`
    select * from pool_capacities where pool = ${pool} order by resource for no key update`;
  // A resource may be called like a property that every object has.
  const wanted = (resource: string): number => (Object.hasOwn(capacity, resource) ? (capacity[resource] ?? 0) : 0);
  const short = rows.filter(({ resource, used }) => wanted(resource) < used);
  if (short.length === 0) return;
  const held = await allocationsFrom(tx, pool);
  const seen = short.map(({ resource, used }) => {
    const holders = held.filter((one) => one.resource === resource);
    const first = holders.slice(0, 5).map(({ id, clusterId, amount }) => `${id} of ${clusterId} (${amount})`);
    const more = holders.length > 5 ? ', and more' : '';
    return `${resource} would be ${wanted(resource)}, but ${used} is held by the grants ${first.join(', ')}${more}`;
  });
  throw new ManagerError(
    'state_conflict',
    `Pool "${pool}" cannot be so small: ${seen.join('; ')}. Release grants first, or keep at least what is held`,
  );
}

/** The first six held allocations of each resource. */
const allocationsFrom = (tx: ResourcesDb, pool: string): Promise<Row<'allocations'>[]> =>
  queryRows<Row<'allocations'>>(tx)`
    select a.* from pool_capacities c
    cross join lateral (select * from allocations where pool = c.pool and resource = c.resource and state = 'held'
      order by id limit 6) a
    where c.pool = ${pool} order by a.resource, a.id`;

/** @throws ManagerError `state_conflict` while something is allocated from it, `not_found`. */
export async function removePool(db: ResourcesDb, name: string): Promise<void> {
  await inTransaction(db, async (tx) => {
    await refuseBelowUsed(tx, name, {});
    await tx.deleteFrom('poolCapacities').where('pool', '=', name).execute();
    const { numDeletedRows } = await tx.deleteFrom('pools').where('name', '=', name).executeTakeFirst();
    if (numDeletedRows !== 1n) throw new ManagerError('not_found', `Pool "${name}" does not exist`);
  });
}
