import { sql } from 'kysely';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ackDeliveries,
  agentsWithDueDeliveries,
  extendLease,
  nackDelivery,
  listDeadLetters,
  type CommunicationDb,
  type Leased,
} from '../../../src/stores/communication/index.js';
import { seededRandom } from '../../concurrency/seeded-random.js';
import { communicationInvariants } from '../../invariants/communication-db.js';
import { checkInvariants } from '../../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import type { JournalEntry } from '../../support/journal.js';
import { waitFor } from '../../support/wait-for.js';
import { accept, agents, claimOf, lapse, message, rules, take } from './builders.js';

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.communication;
});
afterAll(() => stores?.drop());

/** One test repeats its deliveries more often than a manager would. */
const check = (journal: readonly JournalEntry[] = []) =>
  checkInvariants(stores, { among: communicationInvariants, journal, bounds: { tries: 1000 } });
const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));

/** An agent with mail of these partition keys, `-` for none, in this order. */
async function agentWith(keys: string): Promise<string> {
  const [agentId] = (await agents(db, 1)) as [string];
  const sent = keys
    .split('')
    .map((key) => message({ recipients: [agentId], partitionKey: key === '-' ? undefined : key }));
  await accept(db, sent);
  return agentId;
}

const numbers = (leased: readonly Leased[]): number[] => leased.map(({ delivery }) => delivery.sequence);
const ackAll = (agentId: string, leased: readonly Leased[]) =>
  ackDeliveries(
    db,
    leased.map((one) => claimOf(agentId, one)),
  );
const nack = (agentId: string, one: Leased | undefined, delaySeconds: number) => {
  if (!one) throw new Error('There is nothing to give back');
  return nackDelivery(db, claimOf(agentId, one), { delaySeconds, reason: 'test', final: false }, rules);
};
const letters = async (recipient: string): Promise<string[]> =>
  (await listDeadLetters(db, { recipient, limit: 100 })).map(({ reason }) => reason);

describe('mail', () => {
  it('deliveries are leased in the order they were accepted, each once while its lease is valid', async () => {
    const agentId = await agentWith('-----');
    const [first, second] = [await take(db, agentId, 2), await take(db, agentId)];
    expect([numbers(first), numbers(second), await take(db, agentId)]).toEqual([[1, 2], [3, 4, 5], []]);
    expect(first[0]).toMatchObject({ deliveredAfterMs: expect.any(Number) as number, delivery: { attempt: 1 } });
    expect(new Set([...first, ...second].map(({ delivery }) => delivery.leaseToken)).size).toBe(5);
  });

  it('a delivery with an expired lease is leased again before new ones, as the next attempt', async () => {
    const agentId = await agentWith('-----');
    const [one] = await take(db, agentId, 2);
    if (one) await ackDeliveries(db, [claimOf(agentId, one)]);
    await lapse(db, agentId);
    const again = await take(db, agentId, 2);
    expect(numbers(again)).toEqual([2, 3]);
    expect(again[0]).toMatchObject({ deliveredAfterMs: null, delivery: { attempt: 2 } });
  });

  it('leasing from an empty inbox or for an unknown agent returns no deliveries', async () => {
    const [empty] = (await agents(db, 1)) as [string];
    expect([await take(db, empty), await take(db, 'never-registered')]).toEqual([[], []]);
  });

  it('concurrent readers never lease more than max_unacked deliveries, and each delivery goes to one reader', async () => {
    const agentId = await agentWith('-'.repeat(60));
    const taken = await Promise.all(times(20, (n) => take(db, agentId, 1 + (n % 7), { maxUnacked: 25 })));
    const all = taken.flatMap(numbers);
    expect(all.sort((a, b) => a - b)).toEqual(times(25, (index) => index + 1));
    expect(await take(db, agentId, 10, { maxUnacked: 25 })).toEqual([]);
    await ackAll(agentId, taken[0] ?? []);
    expect(await take(db, agentId, 10, { maxUnacked: 25 })).toHaveLength(taken[0]?.length ?? -1);
  });

  it('no delivery is skipped during concurrent sends, reads, failures and acks', async () => {
    const random = seededRandom(11);
    const inboxes = await agents(db, 3);
    const journal: JournalEntry[] = [];
    let sending = true;
    const sender = async (source: string): Promise<void> => {
      for (let order = 0; order < 40; order += 1) {
        const recipients = inboxes.filter(() => random() < 0.6);
        const one = message({ source, kind: 'topic', recipients });
        const slow = random() < 0.3;
        await db.transaction().execute(async (tx) => {
          await accept(tx, [one]);
          if (slow) await sql`select pg_sleep(0.01)`.execute(tx);
        });
        journal.push({
          what: 'sent',
          at: '',
          source,
          id: one.id,
          outcome: 'accepted',
          matched: recipients.length,
          order,
        });
      }
    };
    // Leases of a moment: readers hold, lose and repeat, and their late acks must not count.
    const short = { leaseSeconds: 0.02, tries: 1000 };
    const isEmpty = async (agentId: string): Promise<boolean> => {
      const { rows } = await sql<{ open: number }>`
        select count(*) as open from deliveries d join inboxes i on i.no = d.inbox_no where i.agent_id = ${agentId}`.execute(
        db,
      );
      return rows[0]?.open === 0;
    };
    const reader = async (agentId: string): Promise<void> => {
      for (;;) {
        const last = !sending;
        const leased = await take(db, agentId, 1 + Math.floor(random() * 8), short);
        for (const { delivery } of leased) {
          const { id: deliveryId, leaseToken, attempt } = delivery;
          const { id: messageId, source } = delivery.message;
          journal.push({ what: 'received', at: '', agentId, deliveryId, leaseToken, attempt, messageId, source });
        }
        if (random() < 0.3) await pause(Math.floor(random() * 40));
        const kept = leased.filter(() => random() < 0.7);
        const acked = await ackAll(agentId, kept);
        for (const [place, { delivery }] of kept.entries()) {
          const { id: deliveryId, leaseToken } = delivery;
          journal.push({ what: 'acked', at: '', agentId, deliveryId, leaseToken, confirmed: acked.has(place) });
        }
        if (last && leased.length === 0 && (await isEmpty(agentId))) return;
      }
    };
    const readers = inboxes.flatMap((agentId) => [reader(agentId), reader(agentId)]);
    await Promise.all(times(6, (n) => sender(`steady-${n}`)));
    sending = false;
    await Promise.all(readers);
    expect(journal.some((entry) => entry.what === 'acked' && !entry.confirmed)).toBe(true);
    expect(journal.some((entry) => entry.what === 'received' && entry.attempt > 2)).toBe(true);
    expect(await check(journal)).toEqual([]);
  });
});

describe('a partition key', () => {
  it('a partition key has one leased delivery at a time, and other deliveries proceed', async () => {
    const agentId = await agentWith('aab-ab');
    const first = await take(db, agentId);
    expect(numbers(first)).toEqual([1, 3, 4]);
    expect(await take(db, agentId)).toEqual([]);
    await ackAll(agentId, first.slice(0, 1));
    expect(numbers(await take(db, agentId))).toEqual([2]);
  });

  it('a failed delivery delays its partition key until its next attempt, and no other key', async () => {
    const agentId = await agentWith('aaaaaaaaaaaab-');
    const [one] = await take(db, agentId, 1);
    expect(await nack(agentId, one, 3600)).toBe('waiting');
    expect(numbers(await take(db, agentId, 1))).toEqual([13]);
    expect(numbers(await take(db, agentId, 1))).toEqual([14]);
    expect(await take(db, agentId, 1)).toEqual([]);
    expect(await check()).toEqual([]);
  });

  it('a partition key continues after its blocking delivery is dead-lettered', async () => {
    const agentId = await agentWith('aa');
    for (let tries = 1; tries <= 2; tries += 1) {
      const leased = await take(db, agentId, 10, { tries: 2 });
      expect(numbers(leased)).toEqual([1]);
      await lapse(db, agentId);
    }
    expect(numbers(await take(db, agentId, 10, { tries: 2 }))).toEqual([2]);
    expect(await letters(agentId)).toEqual(['tries_exhausted']);
  });

  it('a partition key stays in order with many concurrent readers', async () => {
    const agentId = await agentWith('abcabcaabbccabcabc-a-b');
    const out = new Map<string, number>();
    const done = new Map<string, number[]>();
    const reader = async (): Promise<void> => {
      while ((done.get('all')?.length ?? 0) < 22) {
        for (const one of await take(db, agentId, 4)) {
          const key = one.delivery.message.partitionKey;
          if (key !== null) {
            expect(out.get(key)).toBeUndefined();
            out.set(key, one.delivery.sequence);
          }
          await pause(1);
          if (key !== null) out.delete(key);
          for (const list of ['all', ...(key === null ? [] : [key])]) {
            done.set(list, [...(done.get(list) ?? []), one.delivery.sequence]);
          }
          await ackAll(agentId, [one]);
        }
      }
    };
    await Promise.all(times(6, reader));
    for (const key of ['a', 'b', 'c']) {
      const order = done.get(key) ?? [];
      expect(order.length).toBeGreaterThan(5);
      expect(order).toEqual([...order].sort((x, y) => x - y));
    }
  });
});

describe('a failed attempt', () => {
  it('a failing delivery is retried up to the configured attempts, then dead-lettered, without delaying later ones', async () => {
    const agentId = await agentWith('--');
    for (let attempt = 1; attempt <= 5; attempt += 1) {
      const leased = await take(db, agentId, 1);
      expect(leased[0]?.delivery).toMatchObject({ sequence: 1, attempt });
      if (attempt % 2) await lapse(db, agentId);
      else await nack(agentId, leased[0], 0);
    }
    expect(numbers(await take(db, agentId))).toEqual([2]);
    expect(await letters(agentId)).toEqual(['tries_exhausted']);
    const { rows } = await sql<{ hows: readonly string[]; attempts: number }>`
      select attempts, array(select t ->> 'how' from jsonb_array_elements(failed_attempts) t) as hows from delivery_history s
      join inboxes i on i.no = s.inbox_no where i.agent_id = ${agentId} and outcome = 'dead'`.execute(db);
    expect(rows[0]?.attempts).toBe(5);
    expect(rows[0]?.hows.slice(0, 4)).toEqual(['lease_expired', 'nacked', 'lease_expired', 'nacked']);
  });

  it('a delivery is dead-lettered at once on the nack of its last attempt or a final nack', async () => {
    const agentId = await agentWith('--');
    const [one, two] = await take(db, agentId);
    if (!one || !two) throw new Error('There should be two deliveries');
    const give = (which: Leased, final: boolean, tries: number) =>
      nackDelivery(
        db,
        claimOf(agentId, which),
        { delaySeconds: undefined, reason: 'cannot', final },
        { ...rules, tries },
      );
    expect([await give(one, true, 5), await give(two, false, 1)]).toEqual(['dead', 'dead']);
    expect((await letters(agentId)).sort()).toEqual(['rejected', 'tries_exhausted']);
    expect(await give(one, true, 5)).toBeUndefined();
  });

  it('retry delays follow the schedule within 20 %, repeating the last delay', async () => {
    const agentId = await agentWith('-');
    const delays = [10, 100];
    for (const expected of [10, 100, 100]) {
      const [one] = await take(db, agentId, 1, { retryDelaysSeconds: delays });
      if (!one) throw new Error('It should be there again');
      await nackDelivery(
        db,
        claimOf(agentId, one),
        { delaySeconds: undefined, reason: undefined, final: false },
        { tries: 5, retryDelaysSeconds: delays },
      );
      const { rows } = await sql<{ seconds: number }>`
        update deliveries d set available_at = now() from inboxes i, deliveries before
        where i.no = d.inbox_no and i.agent_id = ${agentId} and before.inbox_no = d.inbox_no and before.sequence = d.sequence
        returning extract(epoch from before.available_at - now()) as seconds`.execute(db);
      expect(rows[0]?.seconds).toBeGreaterThan(expected * 0.8 - 1);
      expect(rows[0]?.seconds).toBeLessThan(expected * 1.2);
      expect(await agentsWithDueDeliveries(db, [agentId])).toEqual([agentId]);
    }
  });

  it('a delivery past its time to live does not delay the deliveries behind it', async () => {
    const agentId = await agentWith('-'.repeat(15));
    await sql`update deliveries d set expires_at = now() - interval '1 second' from inboxes i
      where i.no = d.inbox_no and i.agent_id = ${agentId} and sequence <= 12`.execute(db);
    expect(numbers(await take(db, agentId, 2))).toEqual([13, 14]);
  });
});

describe('a lease', () => {
  it('a delivery whose lease is extended as it expires is not leased to another reader', async () => {
    const agentId = await agentWith('-');
    const [one] = await take(db, agentId, 1, { leaseSeconds: 0.5 });
    if (!one) throw new Error('There should be a delivery');
    const { taking } = await db.transaction().execute(async (tx) => {
      expect(await extendLease(tx, claimOf(agentId, one), 60)).toBeInstanceOf(Date);
      await waitFor('the first lease to run out', async () => {
        const { rows } = await sql<{ over: boolean }>`
          select clock_timestamp() > ${one.delivery.leaseExpiresAt}::timestamptz as over`.execute(db);
        return rows[0]?.over;
      });
      const taking = take(db, agentId, 1);
      await waitFor('the other to wait', async () => {
        const { rows } = await sql<{ waiting: boolean }>`select exists (select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock') as waiting`.execute(db);
        return rows[0]?.waiting;
      });
      return { taking };
    });
    expect(await taking).toEqual([]);
    expect((await ackDeliveries(db, [claimOf(agentId, one)])).size).toBe(1);
  });

  it('every invariant holds after the tests of lease-deliveries', async () => {
    expect(await check()).toEqual([]);
  });
});
