import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ackDeliveries,
  deadLetterDeliveries,
  closeInbox,
  countReceipts,
  deadLetterIdOf,
  deadLetterNoOf,
  discardDeadLetter,
  findDeadLetter,
  listDeadLetters,
  moveDeliveries,
  openInbox,
  parseDeliveryId,
  replayDeadLetter,
  orphanedByAgent,
  orphanedByCluster,
  type CommunicationDb,
  type DeadLetterRow,
  type DeliveryKey,
} from '../../../src/stores/communication/index.js';
import { communicationInvariants } from '../../invariants/communication-db.js';
import { checkInvariants } from '../../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { accept, agents, claimOf, fresh, message, route, take } from './builders.js';

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.communication;
});
afterAll(() => stores?.drop());

const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));
const by = { by: 'admin', ttlSeconds: 3600 };

/** A dead letter of an agent. */
async function deadLetter(agentId: string, reason = 'rejected'): Promise<DeadLetterRow> {
  const one = message({ recipients: [agentId] });
  await accept(db, [one]);
  const { rows } = await sql<DeliveryKey>`
    select d.inbox_no as "inboxNo", d.sequence from deliveries d join messages m on m.no = d.message_no where m.id = ${one.id}`.execute(
    db,
  );
  expect(await deadLetterDeliveries(db, rows, reason, 'test')).toBe(1);
  const [letter] = await listDeadLetters(db, { recipient: agentId, limit: 1 });
  if (letter?.messageId !== one.id) throw new Error('It has no dead letter');
  return letter;
}

describe('a dead letter', () => {
  it('20 concurrent replays of a dead letter append one delivery with a full number of attempts', async () => {
    const [agentId] = (await agents(db, 1)) as [string];
    const letter = await deadLetter(agentId);
    await accept(db, [message({ recipients: [agentId] })]);
    const to = [{ agentId, via: 'replay' }];
    const given = await Promise.all(times(20, () => replayDeadLetter(db, letter, to, by)));
    expect(given.filter((count) => count !== undefined)).toEqual([1]);
    const leased = await take(db, agentId);
    expect(leased.map(({ delivery }) => [delivery.sequence, delivery.attempt])).toEqual([
      [2, 1],
      [3, 1],
    ]);
    expect(leased[1]?.delivery.message.id).toBe(letter.messageId);
    expect(await findDeadLetter(db, letter.no)).toMatchObject({ state: 'replayed', endedBy: 'admin' });
  });

  it('a dead letter is either replayed or discarded when both are requested concurrently', async () => {
    const [agentId] = (await agents(db, 1)) as [string];
    for (const letter of [await deadLetter(agentId), await deadLetter(agentId), await deadLetter(agentId)]) {
      const asked = await Promise.all(
        times(10, async (n) =>
          n % 2
            ? (await replayDeadLetter(db, letter, [{ agentId, via: 'replay' }], by)) === 1
            : await discardDeadLetter(db, letter.no, 'admin'),
        ),
      );
      expect(asked.filter(Boolean)).toHaveLength(1);
    }
  });

  it('a dead letter without a recipient stays dead, and can be replayed once there is one', async () => {
    const [agentId] = (await agents(db, 1)) as [string];
    const letter = await deadLetter(agentId);
    await closeInbox(db, agentId);
    const replay = () => replayDeadLetter(db, letter, [{ agentId, via: 'replay' }], by);
    expect([await replay(), await replayDeadLetter(db, letter, [], by)]).toEqual([undefined, undefined]);
    expect(await findDeadLetter(db, letter.no)).toMatchObject({ state: 'dead' });
    await openInbox(db, agentId, []);
    expect(await replay()).toBe(1);
  });

  it('the replay of a message without recipients is delivered to all present recipients, in any order', async () => {
    const found = await agents(db, 3);
    const lost = times(12, () => message({ kind: 'topic', deadLetter: { reason: 'unknown_topic', detail: 'test' } }));
    await accept(db, lost);
    const letters = (await listDeadLetters(db, { reason: 'unknown_topic', limit: 100 })).slice(0, 12);
    const given = await Promise.all(
      letters.map((letter, n) => {
        const names = n % 2 ? found : [...found].reverse();
        return replayDeadLetter(
          db,
          letter,
          names.map((agentId) => ({ agentId, via: 'subscriber' })),
          by,
        );
      }),
    );
    expect(given).toEqual(letters.map(() => 3));
    for (const agentId of found) expect(await take(db, agentId)).toHaveLength(12);
  });

  it('a delivery that is dead-lettered and acked concurrently ends as one of them, never both', async () => {
    const [agentId] = (await agents(db, 1)) as [string];
    await accept(
      db,
      times(30, () => message({ recipients: [agentId] })),
    );
    const held = await take(db, agentId, 30);
    const keys = held.flatMap(({ delivery }) => parseDeliveryId(delivery.id) ?? []);
    const [acked, ...buried] = await Promise.all([
      ackDeliveries(
        db,
        held.map((one) => claimOf(agentId, one)),
      ).then(({ size }) => size),
      ...times(6, (n) => deadLetterDeliveries(db, n % 2 ? keys : [...keys].reverse(), 'expired', 'test')),
    ]);
    expect((acked ?? 0) + buried.reduce((sum, count) => sum + count, 0)).toBe(30);
    expect(await listDeadLetters(db, { recipient: agentId, limit: 100 })).toHaveLength(30 - (acked ?? 0));
  });

  it('dead letters are listed by state, reason, recipient and cluster, newest first, page by page', async () => {
    const [agentId] = (await agents(db, 1)) as [string];
    const reasons = ['rejected', 'expired', 'rejected', 'expired', 'rejected'];
    const letters: DeadLetterRow[] = [];
    for (const reason of reasons) letters.push(await deadLetter(agentId, reason));
    await discardDeadLetter(db, letters[4]?.no ?? 0, 'admin');
    const nos = async (filter: Omit<Parameters<typeof listDeadLetters>[1], 'recipient' | 'limit'>, limit = 10) =>
      (await listDeadLetters(db, { recipient: agentId, limit, ...filter })).map(({ no }) =>
        letters.findIndex((one) => one.no === no),
      );
    expect(await nos({})).toEqual([4, 3, 2, 1, 0]);
    expect(await nos({ reason: 'rejected' })).toEqual([4, 2, 0]);
    expect(await nos({ reason: 'rejected', state: 'dead' })).toEqual([2, 0]);
    expect(await nos({ state: 'replayed' })).toEqual([]);
    expect(await nos({}, 2)).toEqual([4, 3]);
    expect(await nos({ after: letters[3]?.no ?? 0 }, 2)).toEqual([2, 1]);
    expect(await nos({ clusterId: 'none' })).toEqual([]);
  });

  it('a dead letter id parses back to the same dead letter, and other texts are rejected', () => {
    expect(deadLetterNoOf(deadLetterIdOf(42))).toBe(42);
    for (const odd of [
      '',
      'dead_',
      'dead_-1',
      'dead_1.5',
      'dead_1 ',
      'dead_9999999999999999',
      'DEAD_1',
      "dead_1'",
      'dead_١',
    ]) {
      expect(deadLetterNoOf(odd)).toBeUndefined();
    }
  });
});

describe('deliveries of a removed member', () => {
  it('orphaned deliveries are re-addressed to successors in order with a full number of attempts, or dead-lettered', async () => {
    const [gone, heir, stays] = (await agents(db, 3)) as [string, string, string];
    const cluster = fresh('cl');
    await route(db, cluster, 1, [gone, heir, stays]);
    const epochs = new Map([[cluster, 1]]);
    const head = { clusterId: cluster, epoch: 1, source: stays } as const;
    const tasks = times(5, () =>
      message({ ...head, kind: 'role', recipients: [{ agentId: gone, via: 'role:worker' }] }),
    );
    const everybody = message({ ...head, kind: 'cluster', recipients: [gone, heir] });
    await accept(db, [...tasks, everybody], { epochs });
    await accept(db, [message({ recipients: [gone] })]);
    const [held] = await take(db, gone, 1);
    expect(await orphanedByCluster(db, cluster, 100)).toEqual([]);
    await route(db, cluster, 2, [heir, stays]);
    const strays = await orphanedByCluster(db, cluster, 100);
    expect(strays.map(({ via, agentId }) => [via, agentId])).toEqual([
      ...tasks.map(() => ['role:worker', gone]),
      ['member', gone],
    ]);
    const moves = strays.filter(({ via }) => via !== 'member').map((stray) => ({ ...stray, to: heir }));
    const moved = await Promise.all(times(8, () => moveDeliveries(db, moves)));
    expect(moved.reduce((sum, count) => sum + count, 0)).toBe(5);
    expect(
      await deadLetterDeliveries(
        db,
        strays.filter(({ via }) => via === 'member'),
        'member_removed',
        'test',
      ),
    ).toBe(1);
    const got = await take(db, heir);
    expect(got.map(({ delivery }) => delivery.message.id)).toEqual([everybody.id, ...tasks.map(({ id }) => id)]);
    expect(got.every(({ delivery }) => delivery.attempt === 1)).toBe(true);
    // Who held it finds its lease stale.
    if (held) expect((await ackDeliveries(db, [claimOf(gone, held)])).size).toBe(0);
    const [receipt] = await countReceipts(db, [{ id: everybody.id }]);
    expect(receipt).toMatchObject({ matched: 2, delivered: 1, acked: 0, dead: 0, left: 1, pending: 1 });
  });

  it('an orphaned queue group delivery lists the agents that already have its message, open or acked', async () => {
    const [gone, waits, acked, refused] = (await agents(db, 4)) as [string, string, string, string];
    const topic = fresh('topic');
    const one = message({
      kind: 'topic',
      topic,
      recipients: [
        { agentId: gone, via: 'group:g' },
        ...[waits, acked, refused].map((agentId) => ({ agentId, via: 'subscriber' })),
      ],
    });
    await accept(db, [one, message({ recipients: [gone] })]);
    await ackDeliveries(
      db,
      (await take(db, acked)).map((each) => claimOf(acked, each)),
    );
    const [held] = await take(db, refused);
    await deadLetterDeliveries(db, [parseDeliveryId(held?.delivery.id ?? '') as DeliveryKey], 'rejected', 'test');
    await closeInbox(db, gone);
    const strays = await orphanedByAgent(db, gone, 10);
    expect(strays.map(({ via, holders }) => [via, [...holders].sort()])).toEqual([
      ['group:g', [gone, waits, acked].sort()],
      ['agent', []],
    ]);
  });

  it('a delivery is not re-addressed to an agent that has left, and can be re-addressed from one', async () => {
    const [gone, heir, other] = (await agents(db, 3)) as [string, string, string];
    await accept(
      db,
      times(3, () => message({ recipients: [gone] })),
    );
    await closeInbox(db, gone);
    const strays = await orphanedByAgent(db, gone, 100);
    expect(strays).toHaveLength(3);
    await closeInbox(db, heir);
    expect(
      await moveDeliveries(
        db,
        strays.map((stray) => ({ ...stray, to: heir })),
      ),
    ).toBe(0);
    expect(
      await moveDeliveries(
        db,
        strays.map((stray) => ({ ...stray, to: other })),
      ),
    ).toBe(3);
    expect(await orphanedByAgent(db, gone, 100)).toEqual([]);
  });

  it('a delivery re-addressed between agents while it is acked arrives once, and sequence numbers stay gapless', async () => {
    const [from, a, b] = (await agents(db, 3)) as [string, string, string];
    await accept(
      db,
      times(40, () => message({ recipients: [from] })),
    );
    const held = await take(db, from, 40);
    const keys = held.flatMap(({ delivery }) => parseDeliveryId(delivery.id) ?? []);
    const [acked, ...moved] = await Promise.all([
      ackDeliveries(
        db,
        held.slice(0, 25).map((one) => claimOf(from, one)),
      ).then(({ size }) => size),
      ...times(6, (n) =>
        moveDeliveries(
          db,
          (n % 2 ? keys : [...keys].reverse()).map((key, place) => ({ ...key, to: (place + n) % 2 ? a : b })),
        ),
      ),
      accept(
        db,
        times(20, (n) => message({ recipients: [n % 2 ? a : b] })),
      ).then(() => 0),
    ]);
    expect((acked ?? 0) + moved.reduce((sum, count) => sum + count, 0)).toBe(40);
  });
});

it('every invariant holds after the tests of this file', async () => {
  expect(await checkInvariants(stores, { among: communicationInvariants })).toEqual([]);
});
