import { sql, type Kysely } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { resourcesInvariants } from './resources-db.js';
import { scalingInvariants } from './scaling.js';
import { corruptions } from './scaling-corruptions.js';
import { createScalingHistory } from './scaling-fixture.js';

const among = [...resourcesInvariants, ...scalingInvariants];

let stores: TestDatabases;

beforeAll(async () => {
  stores = await createTestDatabases();
  await createScalingHistory(stores);
});
afterAll(() => stores?.drop());

/** @returns the names of the invariants that the checker reports for corrupted data. The corruption is rolled back. */
async function checkCorrupted(corruption: (typeof corruptions)[string]): Promise<string[]> {
  let reported: string[] = [];
  const rollBack = new Error('roll the corruption back');
  const transaction = (stores[corruption.in] as Kysely<unknown>).transaction().execute(async (tx) => {
    await sql.raw(corruption.by).execute(tx);
    reported = (await checkInvariants({ ...stores, [corruption.in]: tx }, { among })).map(
      (violation) => violation.name,
    );
    throw rollBack;
  });
  await expect(transaction).rejects.toBe(rollBack);
  return reported;
}

describe('checkInvariants for scaling', () => {
  it('the checker reports nothing for scalings, allocations and budgets that the manager wrote', async () => {
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('the checked data includes changes, allocations, holds and capacity requests in several states', async () => {
    const { rows } = await sql<{ kind: string }>`
      select 'allocation ' || state as kind from allocations union select 'hold ' || state from holds
      union select 'change ' || direction from scaling_changes union select 'request ' || state from capacity_requests
      order by 1`.execute(stores.resources);
    expect(rows.map(({ kind }) => kind)).toEqual([
      'allocation held',
      'allocation released',
      'change in',
      'change out',
      'hold committed',
      'hold open',
      'hold released',
      'request denied',
    ]);
  });

  it('every invariant of scaling and resources has a corruption that violates it', () => {
    expect(Object.keys(corruptions).sort()).toEqual(among.map(({ name }) => name).sort());
  });

  it.each(Object.entries(corruptions))(
    'the checker reports exactly the corrupted invariant: %s',
    async (name, corruption) => {
      expect(await checkCorrupted(corruption)).toEqual([name]);
    },
  );
});
