import { sql, type Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { inResources } from './in-resources.js';
import { ofScaling } from './of-scaling.js';
import { damages } from './scaling-damages.js';
import { everythingScaled } from './scaling-fixture.js';

const among = [...inResources, ...ofScaling];

let stores: TestDatabases;

beforeAll(async () => {
  stores = await createTestDatabases();
  await everythingScaled(stores);
});
afterAll(() => stores?.drop());

/** What the checker says of damaged data; the damage is rolled back. */
async function checkDamaged(damage: (typeof damages)[string]): Promise<string[]> {
  let named: string[] = [];
  const undo = new Error('undo the damage');
  const transaction = (stores[damage.in] as Kysely<unknown>).transaction().execute(async (tx) => {
    await sql.raw(damage.by).execute(tx);
    named = (await checkInvariants({ ...stores, [damage.in]: tx }, { among })).map((violation) => violation.name);
    throw undo;
  });
  await expect(transaction).rejects.toBe(undo);
  return named;
}

describe('the checker of scaling', () => {
  it('finds nothing in what the manager wrote, neither of scaling nor of anything else', async () => {
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('has changes, grants and reservations of every kind before it, so that it finds nothing for no other reason', async () => {
    const { rows } = await sql<{ kind: string }>`
      select 'grant ' || state as kind from allocations union select 'reservation ' || state from holds
      union select 'change ' || direction from scaling_changes union select 'request ' || state from capacity_requests
      order by 1`.execute(stores.resources);
    expect(rows.map(({ kind }) => kind)).toEqual([
      'change in',
      'change out',
      'grant held',
      'grant released',
      'request denied',
      'reservation committed',
      'reservation open',
      'reservation released',
    ]);
  });

  it('is tried on every invariant it has', () => {
    expect(Object.keys(damages).sort()).toEqual(among.map(({ name }) => name).sort());
  });

  it.each(Object.entries(damages))('names exactly: %s', async (name, damage) => {
    expect(await checkDamaged(damage)).toEqual([name]);
  });
});
