import { sql } from 'kysely';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  acceptRoutedMessages,
  ackDeliveries,
  closeInbox,
  closeRoutes,
  deliver,
  openInbox,
  routeAndDeliver,
  type AcceptOutcome,
  type CommunicationDb,
} from '../../../src/stores/communication/index.js';
import { seededRandom } from '../../concurrency/seeded-random.js';
import { communicationInvariants } from '../../invariants/communication-db.js';
import { checkInvariants } from '../../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import type { JournalEntry } from '../../support/journal.js';
import { accept, agents, claimOf, fresh, inboxLimit, message, route, take } from './builders.js';

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.communication;
});
afterAll(() => stores?.drop());

const check = (journal: readonly JournalEntry[] = []) =>
  checkInvariants(stores, { among: communicationInvariants, journal });
const none = new Map<string, number>();

/** What is stored of a message: its deliveries and its dead letters. */
async function storedOf(id: string) {
  const { rows } = await sql<{ messages: number; copies: number; letters: readonly string[] }>`
    select (select count(*) from messages where id = ${id}) as messages,
      (select count(*) from deliveries d join messages m on m.no = d.message_no where m.id = ${id}) as copies,
      array(select x.reason from dead_letters x join messages m on m.no = x.message_no where m.id = ${id} order by x.no) as letters
  `.execute(db);
  return rows[0];
}

const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, i) => make(i));

describe('sequence numbers', () => {
  it('sequence numbers are gapless and in commit order despite delayed commits and rollbacks', async () => {
    const random = seededRandom(7);
    const inboxes = await agents(db, 4);
    const journal: JournalEntry[] = [];
    const sender = async (source: string): Promise<void> => {
      for (let order = 0; order < 15; order += 1) {
        const recipients = inboxes.filter(() => random() < 0.5);
        const one = message({ source, kind: 'clusters', recipients });
        const [slow, fails] = [random() < 0.5, random() < 0.15];
        const undone = new Error('rolled back');
        const outcome = db.transaction().execute(async (tx) => {
          const [result] = (await acceptRoutedMessages(tx, [one], {
            epochs: none,
            inboxLimit,
          })) as readonly AcceptOutcome[];
          expect(result).toEqual({ outcome: 'accepted', matched: recipients.length });
          if (slow) await sql`select pg_sleep(${0.01 + random() * 0.03})`.execute(tx);
          if (fails) throw undone;
        });
        if (fails) await expect(outcome).rejects.toBe(undone);
        else {
          await outcome;
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
      }
    };
    // A reader that pages by the last number it saw, as anybody might who reads a log: it must miss none.
    const seen = new Map(inboxes.map((id) => [id, [] as number[]]));
    let sending = true;
    const reader = async (agentId: string): Promise<void> => {
      for (let last = false; !last;) {
        last = !sending;
        const numbers = seen.get(agentId) ?? [];
        const { rows } = await sql<{ sequence: number }>`
          select sequence from deliveries d join inboxes i on i.no = d.inbox_no
          where i.agent_id = ${agentId} and sequence > ${numbers.at(-1) ?? 0} order by sequence`.execute(db);
        numbers.push(...rows.map(({ sequence }) => sequence));
        await pause(3);
      }
    };
    const readers = inboxes.map(reader);
    await Promise.all(times(16, (n) => sender(`sender-${n}`)));
    sending = false;
    await Promise.all(readers);
    for (const agentId of inboxes) {
      const stored = await sql<{ last: number }>`
        select next_sequence - 1 as last from inboxes where agent_id = ${agentId}`.execute(db);
      expect(seen.get(agentId)).toEqual(times(stored.rows[0]?.last ?? -1, (index) => index + 1));
    }
    expect(journal.length).toBeGreaterThan(150);
    // The fan-out of these is not a cluster's; everything else holds.
    await sql`update messages set kind = 'topic' where kind = 'clusters'`.execute(db);
    expect(await check(journal)).toEqual([]);
  });

  it('deliveries keep the order of their call when many senders share recipients concurrently', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const batches = times(12, (n) => times(20, () => message({ source: `batch-${n}`, recipients: [n % 2 ? a : b] })));
    const mixed = times(12, (n) =>
      times(10, () => message({ source: `mixed-${n}`, kind: 'topic', recipients: n % 2 ? [a, b] : [b, a] })),
    );
    const all = [...batches, ...mixed];
    await Promise.all(all.map((batch) => accept(db, batch)));
    const journal = all.flatMap((batch) =>
      batch.map(({ source, id }, order): JournalEntry => ({
        what: 'sent',
        at: '',
        source,
        id,
        outcome: 'accepted',
        order,
      })),
    );
    expect(await check(journal)).toEqual([]);
  });
});

describe('repeated messages', () => {
  it('a message sent 200 times concurrently, partly rolled back, is stored once', async () => {
    const [to] = (await agents(db, 1)) as [string];
    for (const same of [message({ recipients: [to] }), message({ kind: 'topic', recipients: [] })]) {
      const undone = new Error('rolled back');
      const outcomes = await Promise.all(
        times(200, async (n) => {
          if (n % 10 === 0) {
            const sent = db.transaction().execute(async (tx) => {
              await acceptRoutedMessages(tx, [same], { epochs: none, inboxLimit });
              throw undone;
            });
            await expect(sent).rejects.toBe(undone);
            return 'rolled back';
          }
          return (await accept(db, [same]))[0]?.outcome;
        }),
      );
      expect(outcomes.filter((outcome) => outcome === 'accepted')).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === 'duplicate')).toHaveLength(179);
      expect(await storedOf(same.id)).toMatchObject({ messages: 1, copies: same.recipients.length });
    }
  });

  it('a repeated message id is a conflict with other content, and a new message from another sender', async () => {
    const [to] = (await agents(db, 1)) as [string];
    const one = message({ recipients: [to] });
    const other = message({ id: one.id, recipients: [to], data: '2' });
    const stranger = message({ id: one.id, source: 'stranger', recipients: [to], data: '2' });
    expect(await accept(db, [one])).toEqual([{ outcome: 'accepted', matched: 1 }]);
    expect(await accept(db, [other, stranger, one])).toEqual([
      { outcome: 'conflict', matched: 1 },
      { outcome: 'accepted', matched: 1 },
      { outcome: 'duplicate', matched: 1 },
    ]);
    expect(await storedOf(one.id)).toMatchObject({ messages: 2, copies: 2 });
    expect((await take(db, to)).map(({ delivery }) => delivery.message.source)).toEqual(['sender', 'stranger']);
  });

  it('a repeated message reports its original recipient count, also when those recipients have left', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const one = message({ kind: 'topic', recipients: [a, b] });
    await accept(db, [one]);
    await closeInbox(db, b);
    expect(await accept(db, [{ ...one, recipients: [] }])).toEqual([{ outcome: 'duplicate', matched: 2 }]);
  });
});

describe('a full inbox', () => {
  const full = async (to: string, bound: number, count: number): Promise<readonly string[]> => {
    const sent = await Promise.all(
      times(count, () => accept(db, [message({ recipients: [to] })], { inboxLimit: bound })),
    );
    return sent.map(([one]) => one?.outcome ?? 'none');
  };
  const count = (outcomes: readonly string[], outcome: string): number =>
    outcomes.filter((one) => one === outcome).length;

  it('an inbox never exceeds its limit under concurrent sends, and accepts one more message per ack', async () => {
    const [to] = (await agents(db, 1)) as [string];
    const first = await full(to, 10, 60);
    expect([count(first, 'accepted'), count(first, 'full')]).toEqual([10, 50]);
    const leased = await take(db, to, 3);
    await ackDeliveries(
      db,
      leased.map((one) => claimOf(to, one)),
    );
    const second = await full(to, 10, 60);
    expect([count(second, 'accepted'), count(second, 'full')]).toEqual([3, 57]);
    expect(await checkInvariants(stores, { among: communicationInvariants, bounds: { mailbox: 1000 } })).toEqual([]);
  });

  it('within one call, messages beyond the inbox limit are refused and not stored', async () => {
    const [to, other] = (await agents(db, 2)) as [string, string];
    const batch = times(5, () => message({ recipients: [to] }));
    const after = message({ recipients: [other] });
    const outcomes = await accept(db, [...batch, after], { inboxLimit: 3 });
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      'accepted',
      'accepted',
      'accepted',
      'full',
      'full',
      'accepted',
    ]);
    expect(await storedOf(batch[4]?.id ?? '')).toMatchObject({ messages: 0 });
    // A refused message can be sent again once there is room: it is no duplicate.
    await ackDeliveries(
      db,
      (await take(db, to)).map((one) => claimOf(to, one)),
    );
    expect((await accept(db, batch.slice(3), { inboxLimit: 3 })).map(({ outcome }) => outcome)).toEqual([
      'accepted',
      'accepted',
    ]);
  });

  it('a broadcast to a full inbox is a dead letter there and is delivered to the others', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    await full(a, 2, 2);
    const everybody = message({ kind: 'topic', recipients: [a, b] });
    expect(await accept(db, [everybody], { inboxLimit: 2 })).toEqual([{ outcome: 'accepted', matched: 2 }]);
    expect(await storedOf(everybody.id)).toEqual({ messages: 1, copies: 1, letters: ['mailbox_full'] });
  });

  it("a full inbox accepts the manager's messages and refuses those of others", async () => {
    const [to] = (await agents(db, 1)) as [string];
    const told = (): Promise<void> =>
      deliver(
        db,
        { id: fresh('told'), source: 'manager', type: 'cluster.changed', clusterId: fresh('cl'), epoch: 1, data: {} },
        [to],
      );
    await told();
    expect(count(await full(to, 5, 20), 'accepted')).toBe(4);
    await told();
    expect(await take(db, to)).toHaveLength(6);
    expect(count(await full(to, 5, 20), 'accepted')).toBe(0);
    // And it follows a setting that is lowered as it follows one that is raised.
    expect(count(await full(to, 8, 20), 'accepted')).toBe(2);
    expect(count(await full(to, 4, 20), 'accepted')).toBe(0);
  });
});

describe('missing recipients', () => {
  it('a message to a missing recipient is a dead letter that names the recipient', async () => {
    const [here, gone] = (await agents(db, 2)) as [string, string];
    await closeInbox(db, gone);
    const one = message({ recipients: [fresh('nobody')] });
    const many = message({ kind: 'topic', recipients: [here, gone, fresh('nobody')] });
    const dead = message({ kind: 'topic', deadLetter: { reason: 'unknown_topic', detail: 'There is none' } });
    const outcomes = await accept(db, [one, many, dead]);
    expect(outcomes.map(({ matched }) => matched)).toEqual([0, 1, 0]);
    expect(await storedOf(one.id)).toEqual({ messages: 1, copies: 0, letters: ['unknown_recipient'] });
    expect(await storedOf(many.id)).toEqual({
      messages: 1,
      copies: 1,
      letters: ['unknown_recipient', 'unknown_recipient'],
    });
    expect(await storedOf(dead.id)).toEqual({ messages: 1, copies: 0, letters: ['unknown_topic'] });
    await openInbox(db, gone, []);
    expect(await accept(db, [message({ recipients: [gone] })])).toEqual([{ outcome: 'accepted', matched: 1 }]);
  });

  it('recipient names with SQL or control characters are treated as plain names', async () => {
    const odd = [`'; drop table inboxes; --`, '{"a":1}', '%s', '\\', 'ünï©ødé', '"', 'null', '{}', 'a,b'];
    for (const id of odd) await openInbox(db, id, [id]);
    const sent = odd.map((id) =>
      message({ source: id, type: id, partitionKey: id, recipients: [id], data: JSON.stringify(id) }),
    );
    expect((await accept(db, sent)).map(({ outcome }) => outcome)).toEqual(odd.map(() => 'accepted'));
    for (const id of odd) {
      const [one] = await take(db, id);
      expect(one?.delivery.message).toMatchObject({ source: id, type: id, partitionKey: id });
      expect(JSON.parse(one?.data ?? '')).toBe(id);
    }
  });
});

describe('a routing table during a broadcast', () => {
  it('a call with an outdated routing epoch is reported as stale and writes nothing', async () => {
    const [a, b, c] = (await agents(db, 3)) as [string, string, string];
    const cluster = fresh('cl');
    await route(db, cluster, 1, [a, b]);
    const broadcast = (epoch: number) =>
      message({ kind: 'cluster', clusterId: cluster, epoch, source: a, recipients: [b] });
    const send = (one: ReturnType<typeof broadcast>, epoch: number) =>
      acceptRoutedMessages(db, [one], { epochs: new Map([[cluster, epoch]]), inboxLimit });
    expect(await send(broadcast(1), 1)).toEqual([{ outcome: 'accepted', matched: 1 }]);
    await route(db, cluster, 2, [a, b, c]);
    const late = broadcast(1);
    expect(await send(late, 1)).toBe('stale');
    expect(await storedOf(late.id)).toEqual({ messages: 0, copies: 0, letters: [] });
    expect(await send(broadcast(3), 3)).toBe('stale');
    await closeRoutes(db, cluster);
    expect(await send(broadcast(2), 2)).toBe('stale');
    expect(await acceptRoutedMessages(db, [message()], { epochs: new Map([['cl-never', 1]]), inboxLimit })).toBe(
      'stale',
    );
  });

  it('a routing table changes between two broadcasts, never within one, and waits only for broadcasts in progress', async () => {
    const ids = await agents(db, 6);
    const cluster = fresh('cl');
    const membersAt = (epoch: number): string[] => ids.filter((_id, index) => (index + epoch) % 3 !== 0);
    await route(db, cluster, 1, membersAt(1));
    let epoch = 1;
    let changing = true;
    let [accepted, stale] = [0, 0];
    const change = async (): Promise<void> => {
      while (epoch < 25 || accepted <= 10 || stale === 0) {
        const members = membersAt(epoch + 1).map((agentId) => ({ agentId, roles: [] }));
        const mail = [...members].reverse().map(({ agentId }) => ({
          message: {
            id: fresh('told'),
            source: 'manager',
            type: 'cluster.told',
            clusterId: cluster,
            epoch: epoch + 1,
            data: {},
          },
          recipients: [agentId],
        }));
        await routeAndDeliver(db, { clusterId: cluster, epoch: epoch + 1, members }, mail);
        epoch += 1;
      }
      changing = false;
    };
    const broadcast = async (source: string): Promise<void> => {
      while (changing) {
        const used = epoch;
        const recipients = membersAt(used).filter((id) => id !== source);
        const one = message({ kind: 'cluster', clusterId: cluster, epoch: used, source, recipients });
        const outcome = await acceptRoutedMessages(db, [one], { epochs: new Map([[cluster, used]]), inboxLimit });
        if (outcome === 'stale') stale += 1;
        else accepted += 1;
      }
    };
    await Promise.all([change(), ...ids.slice(0, 4).map(broadcast)]);
    expect(accepted).toBeGreaterThan(10);
    expect(stale).toBeGreaterThan(0);
    expect(await check()).toEqual([]);
  });
});
