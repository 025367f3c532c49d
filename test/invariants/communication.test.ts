import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import type { JournalEntry } from '../support/journal.js';
import { corruptions, type Corruption } from './communication-corruptions.js';
import { createEveryKindOfDelivery } from './communication-fixture.js';
import { communicationInvariants } from './communication-db.js';
import type { Stores } from './invariant.js';

/** As low as the data allows, so that one more delivery violates them. */
const bounds = { mailbox: 3, maxUnacked: 1, tries: 5 };

let stores: TestDatabases;
let journal: readonly JournalEntry[];

beforeAll(async () => {
  stores = await createTestDatabases();
  journal = await createEveryKindOfDelivery(stores.communication);
});
afterAll(() => stores?.drop());

const check = (stores: Stores, journal: readonly JournalEntry[]) =>
  checkInvariants(stores, { among: communicationInvariants, bounds, journal });

/** @returns the names of the invariants that the checker reports for corrupted data. The corruption is rolled back. */
async function checkCorrupted(corruption: Corruption): Promise<string[]> {
  let reported: string[] = [];
  const rollBack = new Error('roll the corruption back');
  const transaction = stores.communication.transaction().execute(async (tx) => {
    if (corruption.by !== undefined) await sql.raw(corruption.by).execute(tx);
    const entries = [...journal, ...(corruption.journal?.(journal) ?? [])];
    reported = (await check({ ...stores, communication: tx }, entries)).map((violation) => violation.name);
    throw rollBack;
  });
  await expect(transaction).rejects.toBe(rollBack);
  return reported;
}

describe('checkInvariants for communication', () => {
  it('the checker reports nothing for messages that the manager stored and clients recorded', async () => {
    expect(await check(stores, journal)).toEqual([]);
  });

  it('the checked messages include deliveries in every state', async () => {
    const { rows } = await sql<{ kind: string }>`
      select distinct case when s.outcome is not null then s.outcome when d.lease_token is not null then 'held'
        when d.attempts > 0 then 'waiting for a retry' when d.via = 'retained' then 'retained' else 'waiting' end as kind
      from deliveries d full join delivery_history s using (inbox_no, sequence) order by 1`.execute(
      stores.communication,
    );
    const kinds = rows.map(({ kind }) => kind);
    expect(kinds).toEqual(['acked', 'dead', 'held', 're_addressed', 'retained', 'waiting', 'waiting for a retry']);
    const entries = [...new Set(journal.map(({ what }) => what))].sort();
    expect(entries).toEqual(['acked', 'received', 'sent']);
  });

  it('every invariant of communication has a corruption that violates it', () => {
    expect(Object.keys(corruptions).sort()).toEqual(communicationInvariants.map(({ name }) => name).sort());
  });

  const each = Object.entries(corruptions).flatMap(([name, ways]) =>
    ways.map((corruption, index) => [name, index, corruption] as const),
  );
  it.each(each)(
    'the checker reports exactly the corrupted invariant: %s (corruption %i)',
    async (name, _index, corruption) => {
      expect(await checkCorrupted(corruption)).toEqual([name]);
    },
  );
});
