import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Retention } from '../../../src/contracts/topics.js';
import { matchesTopic } from '../../../src/domain/communication/topic-patterns.js';
import {
  ackDeliveries,
  closeInbox,
  createTopic,
  deleteTopic,
  deliverRetained,
  drainTopic,
  deleteDrainedTopics,
  deleteLapsedSubscriptions,
  findTopics,
  listDeadLetters,
  listTopics,
  openInbox,
  openDeliveries,
  retainingTopics,
  setAgentStatus,
  subscribe,
  subscriptionsOf,
  subscriptionsTo,
  topicFigures,
  pruneRetained,
  unsubscribe,
  type CommunicationDb,
} from '../../../src/stores/communication/index.js';
import { communicationInvariants } from '../../invariants/communication-db.js';
import { checkInvariants } from '../../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../../support/database.js';
import { accept, agents, claimOf, fresh, message, take } from './builders.js';

let stores: TestDatabases;
let db: CommunicationDb;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 24 });
  db = stores.communication;
});
afterAll(() => stores?.drop());

const times = <Value>(count: number, make: (index: number) => Value): Value[] =>
  Array.from({ length: count }, (_, index) => make(index));

const spec = (name: string, retention: Retention = { keep: 'none' }) => ({
  name,
  retention,
  publish: null,
  subscribe: null,
  maxSubscribers: 10_000,
});

async function topicThat(retention: Retention = { keep: 'none' }): Promise<string> {
  const name = fresh('topic');
  await createTopic(db, spec(name, retention), 'owner');
  return name;
}

const publish = (topic: string, recipients: readonly string[] = [], rest: Parameters<typeof message>[0] = {}) =>
  message({
    kind: 'topic',
    to: { topic },
    topic,
    recipients: recipients.map((agentId) => ({ agentId, via: 'subscriber' })),
    ...rest,
  });

const subscribersOf = async (topic: string): Promise<string[]> =>
  (await subscriptionsTo(db, [topic])).map(({ agentId }) => agentId);

describe('a topic', () => {
  it('a topic created concurrently exists once, and creating it with other settings is a conflict', async () => {
    const name = fresh('topic');
    const made = await Promise.all(times(20, () => createTopic(db, spec(name, { keep: 'last' }), 'owner')));
    expect(made.filter((outcome) => outcome === 'created')).toHaveLength(1);
    expect(made.filter((outcome) => outcome === 'unchanged')).toHaveLength(19);
    expect(await createTopic(db, spec(name), 'owner')).toBe('other');
    const list = { agents: ['a'], clusters: [] };
    expect(await createTopic(db, { ...spec(name, { keep: 'last' }), publish: list }, 'owner')).toBe('other');
    await drainTopic(db, name);
    expect(await createTopic(db, spec(name, { keep: 'last' }), 'owner')).toBe('other');
  });

  it('deleting a topic by force turns its open deliveries into dead letters once, also concurrently', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const name = await topicThat({ keep: 'last' });
    await accept(
      db,
      times(10, () => publish(name, [a, b], { retain: true })),
    );
    const held = await take(db, a, 4);
    const [deleted, acked] = await Promise.all([
      Promise.all(times(8, () => deleteTopic(db, name))),
      ackDeliveries(
        db,
        held.map((one) => claimOf(a, one)),
      ).then(({ size }) => size),
    ]);
    const counts = deleted.filter((count) => count !== undefined);
    expect(counts).toHaveLength(1);
    expect((counts[0] ?? 0) + acked).toBe(20);
    const letters = await listDeadLetters(db, { reason: 'topic_deleted', limit: 100 });
    expect(letters).toHaveLength(20 - acked);
    expect(await findTopics(db, [name])).toEqual([]);
    expect(await retainingTopics(db)).not.toContain(name);
  });

  it('a draining topic is deleted when its last delivery ends, not before', async () => {
    const [a] = (await agents(db, 1)) as [string];
    const name = await topicThat();
    await accept(db, [publish(name, [a]), publish(name, [a])]);
    expect(await drainTopic(db, name)).toBe(true);
    const ended = async (): Promise<boolean> => (await deleteDrainedTopics(db)).includes(name);
    expect([await openDeliveries(db, { topic: name }), await ended()]).toEqual([2, false]);
    const leased = await take(db, a);
    await ackDeliveries(db, [claimOf(a, leased[0] as (typeof leased)[number])]);
    expect(await ended()).toBe(false);
    await ackDeliveries(
      db,
      leased.map((one) => claimOf(a, one)),
    );
    expect([await openDeliveries(db, { topic: name }), await ended()]).toEqual([0, true]);
    expect(await drainTopic(db, name)).toBe(false);
  });

  it('deleting a topic during publications loses no accepted message', async () => {
    const [a] = (await agents(db, 1)) as [string];
    const gone = fresh('topic');
    const [heard, unheard] = [publish(gone, [a], { retain: true }), publish(gone, [], { retain: true })];
    const outcomes = await accept(db, [heard, unheard]);
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['accepted', 'accepted']);
    const letters = await listDeadLetters(db, { reason: 'unknown_topic', limit: 10 });
    expect(letters.map(({ messageId }) => messageId)).toEqual([unheard.id]);
    for (let round = 0; round < 10; round += 1) {
      const name = await topicThat({ keep: 'count', count: 100 });
      const sent = await Promise.all([
        ...times(6, () => accept(db, [publish(name, [a], { retain: true })])),
        deleteTopic(db, name).then(() => []),
      ]);
      expect(sent.flat().every(({ outcome }) => outcome === 'accepted')).toBe(true);
    }
  });

  it('topics are listed by name, page by page, with their retained and open counts', async () => {
    const [a] = (await agents(db, 1)) as [string];
    const prefix = fresh('page');
    for (const letter of ['c', 'a', 'b'])
      await createTopic(db, spec(`${prefix}.${letter}`, { keep: 'count', count: 5 }), 'o');
    await accept(db, [publish(`${prefix}.b`, [a], { retain: true }), publish(`${prefix}.b`, [a])]);
    const first = await listTopics(db, { after: prefix, limit: 2 });
    expect(first.map(({ name }) => name)).toEqual([`${prefix}.a`, `${prefix}.b`]);
    const [next] = await listTopics(db, { after: `${prefix}.b`, limit: 1 });
    expect(next?.name).toBe(`${prefix}.c`);
    const figures = await topicFigures(db, [`${prefix}.a`, `${prefix}.b`]);
    expect([...figures.values()]).toEqual([
      { retained: 0, pending: 0 },
      { retained: 1, pending: 2 },
    ]);
  });
});

describe('retained messages of a topic', () => {
  const dataOf = async (agentId: string): Promise<unknown[]> =>
    (await take(db, agentId)).map(({ data }) => JSON.parse(data) as unknown);
  const publishAll = async (name: string, retention: Retention, count: number): Promise<void> => {
    for (let n = 1; n <= count; n += 1) {
      await accept(db, [publish(name, [], { retain: true, data: String(n) })]);
      await pruneRetained(db, { name, retention });
    }
  };

  it.each<[Retention, number[]]>([
    [{ keep: 'last' }, [5]],
    [{ keep: 'count', count: 3 }, [3, 4, 5]],
    [{ keep: 'duration', seconds: 3600 }, [1, 2, 3, 4, 5]],
  ])('is given to who subscribes now, oldest first: %j', async (retention, expected) => {
    const [a] = (await agents(db, 1)) as [string];
    const name = await topicThat(retention);
    await publishAll(name, retention, 5);
    expect(await deliverRetained(db, a, [name])).toBe(expected.length);
    expect(await dataOf(a)).toEqual(expected);
  });

  it("retained messages are deleted after the topic's retention", async () => {
    const [a] = (await agents(db, 1)) as [string];
    const retention = { keep: 'duration', seconds: 60 } as const;
    const name = await topicThat(retention);
    await publishAll(name, retention, 2);
    await sql`update retained_messages set retained_at = retained_at - interval '61 seconds' where topic = ${name}
      and message_no = (select min(message_no) from retained_messages where topic = ${name})`.execute(db);
    await pruneRetained(db, { name, retention });
    expect(await deliverRetained(db, a, [name])).toBe(1);
  });

  it('a retained message is delivered once to an agent that is subscribed 20 times concurrently or had it before', async () => {
    const [a] = (await agents(db, 1)) as [string];
    const retention = { keep: 'count', count: 10 } as const;
    const name = await topicThat(retention);
    await publishAll(name, retention, 5);
    const given = await Promise.all(times(20, () => deliverRetained(db, a, [name])));
    expect(given.reduce((sum, count) => sum + count, 0)).toBe(5);
    expect(await dataOf(a)).toEqual([1, 2, 3, 4, 5]);
    await ackDeliveries(
      db,
      (await take(db, a)).map((one) => claimOf(a, one)),
    );
    expect(await deliverRetained(db, a, [name])).toBe(0);
  });

  it('a retained message is not delivered to its publisher or to a missing agent', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const name = await topicThat({ keep: 'last' });
    await accept(db, [publish(name, [], { source: a, retain: true })]);
    expect(await deliverRetained(db, a, [name])).toBe(0);
    expect(await deliverRetained(db, 'never-registered', [name])).toBe(0);
    await closeInbox(db, b);
    expect(await deliverRetained(db, b, [name])).toBe(0);
  });
});

const idOf = (made: Awaited<ReturnType<typeof subscribe>>): string =>
  typeof made === 'object' ? made.id : `no ${made}`;

describe('a subscription', () => {
  it('repeating a subscription returns the same one, and another pattern or group makes another', async () => {
    const [a] = (await agents(db, 1)) as [string];
    const made = await Promise.all(times(20, () => subscribe(db, a, { pattern: 'x.*', queueGroup: null })));
    expect(new Set(made.map(idOf)).size).toBe(1);
    await subscribe(db, a, { pattern: 'x.*', queueGroup: 'g' });
    await subscribe(db, a, { pattern: 'x.>', queueGroup: null });
    const all = await subscriptionsOf(db, a);
    expect(all.map(({ pattern, queueGroup }) => [pattern, queueGroup])).toEqual([
      ['x.*', 'g'],
      ['x.*', null],
      ['x.>', null],
    ]);
    expect(await unsubscribe(db, a, { pattern: 'x.*', queueGroup: null })).toBe(true);
    expect(await unsubscribe(db, a, { pattern: 'x.*', queueGroup: null })).toBe(false);
    expect(await unsubscribe(db, a, { id: all[0]?.id ?? '' })).toBe(true);
    expect(await subscriptionsOf(db, a)).toHaveLength(1);
  });

  it('a subscription can only be ended by its own agent', async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const mine = await subscribe(db, a, { pattern: 'own', queueGroup: null });
    expect(await unsubscribe(db, b, { id: idOf(mine) })).toBe(false);
    expect(await subscriptionsOf(db, a)).toHaveLength(1);
  });

  it('a subscription matches exactly the topics of its pattern', async () => {
    const [a] = (await agents(db, 1)) as [string];
    const root = fresh('root');
    await subscribe(db, a, { pattern: `${root}.*.done`, queueGroup: null });
    await subscribe(db, a, { pattern: `${root}.>`, queueGroup: 'g' });
    expect(await subscribersOf(`${root}.x.done`)).toEqual([a, a]);
    expect(await subscribersOf(`${root}.x.y.done`)).toEqual([a]);
    expect(await subscribersOf(root)).toEqual([]);
  });

  it("a subscription is suspended while its agent's lease has expired, and ends after the grace or when the agent leaves", async () => {
    const [a, b] = (await agents(db, 2)) as [string, string];
    const topic = fresh('life');
    for (const id of [a, b]) await subscribe(db, id, { pattern: topic, queueGroup: null });
    expect(await setAgentStatus(db, [a, b], ['lapsed', 'unready'])).toBe(2);
    expect((await subscriptionsOf(db, a))[0]?.suspended).toBe(true);
    expect(await deleteLapsedSubscriptions(db, 60)).toBe(0);
    await setAgentStatus(db, [a], ['live']);
    expect((await subscriptionsOf(db, a))[0]?.suspended).toBe(false);
    await setAgentStatus(db, [a], ['lapsed']);
    await sql`update inboxes set lapsed_at = now() - interval '61 seconds' where agent_id = ${a}`.execute(db);
    expect(await deleteLapsedSubscriptions(db, 60)).toBe(1);
    expect(await subscribersOf(topic)).toEqual([b]);
    await closeInbox(db, b);
    expect(await subscribersOf(topic)).toEqual([]);
    expect(await subscribe(db, b, { pattern: topic, queueGroup: null })).toBeUndefined();
    expect(await setAgentStatus(db, [b], ['live'])).toBe(0);
    await openInbox(db, b, []);
    expect(await subscribersOf(topic)).toEqual([]);
  });

  it('a subscription created while its agent leaves ends with the agent', async () => {
    const topic = fresh('race');
    for (let round = 0; round < 20; round += 1) {
      const [a] = (await agents(db, 1)) as [string];
      await Promise.all([
        ...times(6, (n) => subscribe(db, a, { pattern: n % 2 ? topic : `${topic}.${n}`, queueGroup: null })),
        closeInbox(db, a),
      ]);
    }
    expect(await subscribersOf(topic)).toEqual([]);
  });
});

it('every invariant holds after the tests of this file', async () => {
  expect(await checkInvariants(stores, { among: communicationInvariants })).toEqual([]);
});

describe('subscriptions to a topic', () => {
  it('subscriptionsTo returns a subscription exactly when its pattern matches the topic', async () => {
    const [subscriber] = (await agents(db, 1)) as [string];
    const root = fresh('root');
    const patterns = [
      ...['*', '>', 'a', 'ab', 'a.*', 'a.>', '*.b', '*.>', '*.*', 'a.b', 'a.b.c', 'a.*.c', '*.b.>', '*.*.*.d', 'a-b.c'],
    ].map((pattern) => `${root}.${pattern}`);
    for (const pattern of patterns) await subscribe(db, subscriber, { pattern, queueGroup: null });
    const topics = [
      'a',
      'b',
      'ab',
      'a.b',
      'a.c',
      'b.b',
      'a-b',
      'a-b.c',
      'a.b.c',
      'a.x.c',
      'x.b.y',
      'x.y.z.d',
      'x.y.z.e',
    ].map((topic) => `${root}.${topic}`);
    const found = await subscriptionsTo(db, topics);
    const expected = topics.flatMap((topic) =>
      patterns.filter((pattern) => matchesTopic(pattern, topic)).map((pattern) => `${topic} ${pattern}`),
    );
    expect(
      found
        .filter(({ agentId }) => agentId === subscriber)
        .map(({ topic, pattern }) => `${topic} ${pattern}`)
        .sort(),
    ).toEqual(expected.sort());
  });
});
