import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import type { JournalEntry } from '../support/journal.js';
import { damages, type Damage } from './communication-damages.js';
import { everyKindOfMail } from './communication-fixture.js';
import { inCommunication } from './in-communication.js';
import type { Stores } from './invariant.js';

/** As tight as the data allows, so that one more breaks them. */
const bounds = { mailbox: 3, maxUnacked: 1, tries: 5 };

let stores: TestDatabases;
let told: readonly JournalEntry[];

beforeAll(async () => {
  stores = await createTestDatabases();
  told = await everyKindOfMail(stores.communication);
});
afterAll(() => stores?.drop());

const check = (looked: Stores, journal: readonly JournalEntry[]) =>
  checkInvariants(looked, { among: inCommunication, bounds, journal });

/** What the checker says of damaged data; the damage is rolled back. */
async function checkDamaged({ by, journal }: Damage): Promise<string[]> {
  let named: string[] = [];
  const undo = new Error('undo the damage');
  const transaction = stores.communication.transaction().execute(async (tx) => {
    if (by !== undefined) await sql.raw(by).execute(tx);
    const looked = await check({ ...stores, communication: tx }, [...told, ...(journal?.(told) ?? [])]);
    named = looked.map((violation) => violation.name);
    throw undo;
  });
  await expect(transaction).rejects.toBe(undo);
  return named;
}

describe('the checker of communication', () => {
  it('finds nothing in mail that the manager wrote and its clients saw', async () => {
    expect(await check(stores, told)).toEqual([]);
  });

  it('has mail of every kind before it, so that it finds nothing for no other reason', async () => {
    const { rows } = await sql<{ kind: string }>`
      select distinct case when s.outcome is not null then s.outcome when d.lease_token is not null then 'held'
        when d.attempts > 0 then 'given back' when d.via = 'retained' then 'retained' else 'waiting' end as kind
      from deliveries d full join delivery_history s using (inbox_no, sequence) order by 1`.execute(
      stores.communication,
    );
    const kinds = rows.map(({ kind }) => kind);
    expect(kinds).toEqual(['acked', 'dead', 'given back', 'held', 're_addressed', 'retained', 'waiting']);
    const entries = [...new Set(told.map(({ what }) => what))].sort();
    expect(entries).toEqual(['acked', 'received', 'sent']);
  });

  it('is tried on every invariant it has', () => {
    expect(Object.keys(damages).sort()).toEqual(inCommunication.map(({ name }) => name).sort());
  });

  const each = Object.entries(damages).flatMap(([name, ways]) =>
    ways.map((damage, index) => ({ name, index, damage })),
  );
  it.each(each)('names exactly: $name (way $index)', async ({ name, damage }) => {
    expect(await checkDamaged(damage)).toEqual([name]);
  });
});
