import { sql } from 'kysely';
import {
  openAccount,
  putPool,
  allocate,
  type AllocationRow,
  type ResourcesDb,
} from '../../../src/stores/resources/index.js';

let made = 0;
/** A name that no other test of this file uses. */
export const fresh = (prefix: string): string => `${prefix}-${(made += 1)}`;

/** A cluster with an open account. */
export async function cluster(db: ResourcesDb): Promise<string> {
  const clusterId = fresh('cl');
  await openAccount(db, { clusterId, weight: 1, perMember: {} });
  return clusterId;
}

/** A pool with these capacities. */
export async function pool(db: ResourcesDb, capacity: Readonly<Record<string, number>>): Promise<string> {
  const name = fresh('pool');
  await putPool(db, { name, capacity });
  return name;
}

/** Asks for an amount of tokens, or for what is given. */
export const request = (
  clusterId: string,
  poolName: string,
  amount = 1,
  over: Partial<Parameters<typeof allocate>[1]> = {},
) => ({
  requestId: fresh('req'),
  clusterId,
  operationId: 'op_1',
  amounts: [{ pool: poolName, resource: 'tokens', amount }],
  leaseSeconds: 60,
  ...over,
});

/** @throws when it was not granted. */
export async function granted(
  db: ResourcesDb,
  wanted: Parameters<typeof allocate>[1],
): Promise<readonly AllocationRow[]> {
  const answer = await allocate(db, wanted);
  if (answer.state !== 'granted') throw new Error(`short of ${JSON.stringify(answer.what)}`);
  return answer.grants;
}

/** Ends the leases of these grants as if their time had run out. */
export async function lapse(db: ResourcesDb, ids: readonly number[]): Promise<void> {
  await sql`update allocations set lease_expires_at = clock_timestamp() - interval '1 ms' where id = any(${[...ids]})`.execute(
    db,
  );
}

/** Many of something. */
export const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));
