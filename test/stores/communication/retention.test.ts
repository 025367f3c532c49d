import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ackDeliveries,
  addLatencies,
  deadLetterExpired,
  createTopic,
  findBatchPart,
  pruneChunk,
  latenciesOf,
  listDeadLetters,
  openReceipt,
  storeBatch,
  type CommunicationDb,
} from '../../../src/stores/communication/index.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { accept, agents, claimOf, fresh, lapse, message, take } from './builders.js';

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.communication;
});
afterAll(() => stores?.drop());

const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));
const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);

const tables = [
  'messages',
  'deliveries',
  'delivery_history',
  'dead_letters',
  'retained_messages',
  'receipts',
  'batches',
] as const;
async function rowsOf(): Promise<Record<string, number>> {
  const { rows } = await sql<{ name: string; rows: number }>`${sql.join(
    tables.map((table) => sql`select ${sql.lit(table)} as name, count(*) as rows from ${sql.table(table)}`),
    sql` union all `,
  )}`.execute(db);
  return Object.fromEntries(rows.map((row) => [row.name, row.rows]));
}

/** Everything there is happened so long ago. */
const age = async (seconds: number): Promise<void> => {
  const ago = sql`make_interval(secs => ${seconds})`;
  await sql`update messages set time = time - ${ago}`.execute(db);
  await sql`update delivery_history set ended_at = ended_at - ${ago}`.execute(db);
  await sql`update dead_letters set created_at = created_at - ${ago}`.execute(db);
  await sql`update receipts set deadline_at = deadline_at - ${ago}`.execute(db);
  await sql`update batches set created_at = created_at - ${ago}`.execute(db);
};

describe('expired deliveries', () => {
  it('expired deliveries become dead letters once under concurrent sweeps, in chunks, except while leased', async () => {
    const [a] = (await agents(db, 1)) as [string];
    await accept(
      db,
      times(30, () => message({ recipients: [a] })),
    );
    await accept(
      db,
      times(3, () => message({ recipients: [a], ttlSeconds: 1000 })),
    );
    const held = await take(db, a, 5);
    await sql`update deliveries set expires_at = now() - interval '1 ms' where expires_at > now() + interval '2000 s'`.execute(
      db,
    );
    const buried = await Promise.all(times(8, () => deadLetterExpired(db, 4)));
    expect(Math.max(...buried)).toBe(4);
    expect(sum(buried) + sum([await deadLetterExpired(db, 100)])).toBe(25);
    expect(await deadLetterExpired(db, 100)).toBe(0);
    // Who holds one may still ack it; what it does not ack ends with its lease.
    expect(
      (
        await ackDeliveries(
          db,
          held.slice(0, 2).map((one) => claimOf(a, one)),
        )
      ).size,
    ).toBe(2);
    await lapse(db, a);
    expect(await deadLetterExpired(db, 100)).toBe(3);
    expect(await listDeadLetters(db, { recipient: a, reason: 'expired', limit: 100 })).toHaveLength(28);
    expect(await take(db, a)).toHaveLength(3);
  });
});

describe('rows past their retention', () => {
  const rules = { retentionSeconds: 3600, deadLetterRetentionSeconds: 7200, limit: 10, keptBatches: [] };

  it('rows past their retention are deleted in chunks, and open, dead or retained deliveries keep their message', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const topic = fresh('topic');
    await createTopic(
      db,
      { name: topic, retention: { keep: 'last' }, publish: null, subscribe: null, maxSubscribers: 1 },
      'o',
    );
    await accept(
      db,
      times(25, () => message({ recipients: [a] })),
    );
    await ackDeliveries(
      db,
      (await take(db, a)).map((one) => claimOf(a, one)),
    );
    const kept = [
      message({ recipients: [b] }),
      message({ recipients: ['nobody'] }),
      message({ kind: 'topic', topic, retain: true }),
    ];
    await accept(db, kept);
    await openReceipt(db, { id: kept[0]?.id ?? '', source: 'sender' }, { require: 'none', deadlineSeconds: 1 });
    await storeBatch(db, { id: fresh('batch'), owner: 'a', parts: {} });
    expect(await pruneChunk(db, rules)).toBe(0);
    await age(3601);
    const deleted = [];
    for (let count = -1; count !== 0; deleted.push(count)) {
      count = await pruneChunk(db, rules);
      expect(count).toBeLessThanOrEqual(10);
    }
    expect(deleted.length).toBeGreaterThan(3);
    const left = await rowsOf();
    expect(left).toMatchObject({ delivery_history: 0, retained_messages: 1, receipts: 1, batches: 1 });
    const { rows } = await sql<{ id: string }>`
      select id from messages m where not exists (select 1 from deliveries d where d.message_no = m.no)
        and not exists (select 1 from dead_letters x where x.message_no = m.no)`.execute(db);
    expect(rows.map(({ id }) => id)).toEqual([kept[2]?.id]);
    // The same id again is the same message as long as it is known, and a new one when it is not.
    expect((await accept(db, [kept[0] as (typeof kept)[number]]))[0]?.outcome).toBe('duplicate');
    await age(90_000);
    while ((await pruneChunk(db, { ...rules, limit: 1000 })) > 0);
    expect(await rowsOf()).toMatchObject({
      dead_letters: 0,
      delivery_history: 0,
      retained_messages: 1,
      receipts: 1,
      batches: 0,
    });
    expect((await accept(db, [kept[1] as (typeof kept)[number]]))[0]?.outcome).toBe('accepted');
  });

  it('a batch past its retention is kept while an unfinished operation names it', async () => {
    const [used, unused] = [fresh('batch'), fresh('batch')];
    for (const id of [used, unused]) await storeBatch(db, { id, owner: 'a', parts: {} });
    await age(90_000);
    await pruneChunk(db, { ...rules, keptBatches: [used] });
    expect(await findBatchPart(db, used, 'messages')).toBeDefined();
    expect(await findBatchPart(db, unused, 'messages')).toBeUndefined();
    await pruneChunk(db, rules);
    expect(await findBatchPart(db, used, 'messages')).toBeUndefined();
  });

  it('retention during concurrent messaging deletes no open delivery', async () => {
    const [a] = (await agents(db, 1)) as [string];
    let sending = true;
    const purge = async (): Promise<void> => {
      while (sending) {
        await age(10_000);
        await pruneChunk(db, { ...rules, limit: 50 });
      }
    };
    let acked = 0;
    const flow = async (): Promise<void> => {
      for (let round = 0; round < 25; round += 1) {
        await accept(
          db,
          times(6, () => message({ recipients: [a] })),
        );
        const leased = await take(db, a, 6);
        acked += (
          await ackDeliveries(
            db,
            leased.map((one) => claimOf(a, one)),
          )
        ).size;
      }
      sending = false;
    };
    await Promise.all([purge(), flow()]);
    expect(acked).toBe(150);
  });
});

describe('latencies', () => {
  it('concurrently added latencies are summed per minute, cluster and measure', async () => {
    const clusterId = fresh('cl');
    const counts = [1, 0, 2];
    await Promise.all(
      times(20, (n) =>
        addLatencies(
          db,
          n % 2
            ? [
                { clusterId, measure: 'acked', counts },
                { clusterId: '', measure: 'acked', counts },
              ]
            : [
                { clusterId: '', measure: 'handed_over', counts },
                { clusterId, measure: 'handed_over', counts },
              ],
        ),
      ),
    );
    const own = await latenciesOf(db, { clusterId, windowSeconds: 300 });
    expect(own.map(({ measure }) => measure).sort()).toEqual(['acked', 'handed_over']);
    for (const row of own) expect(row.counts).toEqual([10, 0, 20]);
    const all = await latenciesOf(db, { windowSeconds: 300 });
    for (const row of all) expect(row.counts).toEqual([20, 0, 40]);
    expect(await latenciesOf(db, { clusterId: 'none', windowSeconds: 300 })).toEqual([]);
  });
});

describe('a batch', () => {
  it('a batch stored concurrently is stored once, and other content or another owner makes another batch', async () => {
    const id = fresh('batch');
    const same = { id, owner: 'a', parts: { messages: [1] } };
    expect(new Set(await Promise.all(times(20, () => storeBatch(db, same))))).toEqual(new Set([true]));
    expect(await storeBatch(db, { ...same, parts: { messages: [2] } })).toBe(false);
    expect(await storeBatch(db, { ...same, owner: 'b' })).toBe(false);
  });
});
