import { sql } from 'kysely';
import { ManagerError } from '../../contracts/errors.js';
import { inTransaction } from '../database.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** Capacity that clusters share, as an LLM provider's tokensPerMinute. */
export interface PoolView {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly resources: Readonly<Record<string, { readonly capacity: number; readonly used: number }>>;
  readonly createdAt: Date;
}

const columns = sql<PoolView>`
  p.name, p.labels, p.created_at as "createdAt", coalesce((
    select jsonb_object_agg(c.resource, jsonb_build_object('capacity', c.capacity, 'used', c.used))
    from pool_capacities c where c.pool = p.name), '{}') as resources`;

/**
 * Makes a pool what is given: capacities that are not named any more go.
 * @throws ManagerError `state_conflict` when a capacity would be below what is used of it.
 */
export async function putPool(
  db: ResourcesDb,
  pool: {
    readonly name: string;
    readonly capacity: Readonly<Record<string, number>>;
    readonly labels?: Readonly<Record<string, string>>;
  },
): Promise<PoolView> {
  for (const [resource, amount] of Object.entries(pool.capacity)) requireAmount(`capacity.${resource}`, amount);
  return inTransaction(db, async (tx) => {
    await sql`
      insert into pools (name, labels) values (${pool.name}, ${JSON.stringify(pool.labels ?? {})}::jsonb)
      on conflict (name) do update set labels = excluded.labels`.execute(tx);
    await refuseBelowUsed(tx, pool.name, pool.capacity);
    await sql`
      delete from pool_capacities where pool = ${pool.name} and resource <> all(${Object.keys(pool.capacity)}::text[])
    `.execute(tx);
    await sql`
      insert into pool_capacities (pool, resource, capacity)
      select ${pool.name}, key, value::numeric from jsonb_each_text(${JSON.stringify(pool.capacity)}::jsonb) order by key
      on conflict (pool, resource) do update set capacity = excluded.capacity`.execute(tx);
    const written = await findPool(tx, pool.name);
    if (!written) throw new Error(`Pool ${pool.name} was not written`);
    return written;
  });
}

/** Locks the capacities of a pool, and looks at what is used of each. A capacity that is not named becomes none. */
async function refuseBelowUsed(
  tx: ResourcesDb,
  pool: string,
  capacity: Readonly<Record<string, number>>,
): Promise<void> {
  const { rows } = await sql<{ resource: string; used: number }>`
    select resource, used from pool_capacities where pool = ${pool} order by resource for no key update`.execute(tx);
  // A resource may have the name of something that every object has.
  const wanted = (resource: string): number => (Object.hasOwn(capacity, resource) ? (capacity[resource] ?? 0) : 0);
  const short = rows.filter(({ resource, used }) => wanted(resource) < used);
  if (short.length === 0) return;
  const held = await holdersOf(tx, pool);
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

async function holdersOf(
  tx: ResourcesDb,
  pool: string,
): Promise<{ readonly resource: string; readonly id: number; readonly clusterId: string; readonly amount: number }[]> {
  const { rows } = await sql<{ resource: string; id: number; clusterId: string; amount: number }>`
    select g.resource, g.id, g.cluster_id as "clusterId", g.amount from pool_capacities c
    cross join lateral (select * from grants where pool = c.pool and resource = c.resource and state = 'held'
      order by id limit 6) g
    where c.pool = ${pool} order by g.resource, g.id`.execute(tx);
  return rows;
}

export async function findPool(db: ResourcesDb, name: string): Promise<PoolView | undefined> {
  const { rows } = await sql<PoolView>`select ${columns} from pools p where p.name = ${name}`.execute(db);
  return rows[0];
}

/** By name. @param page.after only pools after this one: the last name of the page before. */
export async function listPools(
  db: ResourcesDb,
  { after = '', limit }: { readonly after?: string; readonly limit: number },
): Promise<PoolView[]> {
  const { rows } = await sql<PoolView>`
    select ${columns} from pools p where p.name > ${after} order by p.name limit ${limit}`.execute(db);
  return rows;
}

/** @throws ManagerError `state_conflict` while grants of it are held, `not_found`. */
export async function removePool(db: ResourcesDb, name: string): Promise<void> {
  await inTransaction(db, async (tx) => {
    await refuseBelowUsed(tx, name, {});
    await sql`delete from pool_capacities where pool = ${name}`.execute(tx);
    const { numAffectedRows } = await sql`delete from pools where name = ${name}`.execute(tx);
    if (numAffectedRows !== 1n) throw new ManagerError('not_found', `There is no pool "${name}"`);
  });
}
