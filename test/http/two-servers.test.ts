import { sql } from 'kysely';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { deliver } from '../../src/stores/communication/index.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { waitFor } from '../support/wait-for.js';
import { idsOf, messagingOf, openStream, type TestStream } from './messaging-fixture.js';
import { startTestApi, type TestApi } from './support.js';

const streams: TestStream[] = [];
afterEach(() => {
  for (const stream of streams.splice(0)) stream.leave();
});

describe.each([
  { wakeUps: true, how: 'notifications on' },
  { wakeUps: false, how: 'notifications off' },
])('two servers on the same databases, $how', ({ wakeUps }) => {
  let databases: TestDatabases;
  let here: TestApi;
  let there: TestApi;
  beforeAll(async () => {
    databases = await createTestDatabases();
    here = await startTestApi({ databases, communication: { wakeUps } });
    there = await startTestApi({ databases, communication: { wakeUps } });
    if (wakeUps) await waitFor('both servers to listen', async () => (await listening()) === 2);
  });
  afterAll(async () => {
    await here.stop();
    await there.stop();
    await databases.drop();
  });

  const listening = async (): Promise<number> =>
    (
      await sql<{ n: number }>`
        select count(*) as n from pg_stat_activity
        where datname = current_database() and application_name = 'cluster-manager notifications' and query like 'listen %'`.execute(
        databases.communication,
      )
    ).rows[0]?.n ?? 0;
  const stream = async (api: TestApi, agentId: string, token: string, max = 10): Promise<TestStream> => {
    const opened = await openStream(api, agentId, { token, max });
    streams.push(opened);
    await waitFor('the stream to wait', () => api.deps.notifier.waiting === 1);
    return opened;
  };

  it('a message accepted by one server ends a long poll of the other', async () => {
    const token = await here.register('poller');
    const polled = messagingOf(there).receive('poller', token, '?waitSeconds=20');
    await waitFor('the poll to wait', () => there.deps.notifier.waiting === 1);
    await messagingOf(here).send(here.tokens.admin, { id: 'far', to: { agent: 'poller' } });
    const acceptedAtMs = performance.now();
    expect(idsOf(await polled)).toEqual(['far']);
    // Without notifications the time depends on the polls of a busy machine; with them there is a bound.
    if (wakeUps) expect(performance.now() - acceptedAtMs).toBeLessThan(500);
  });

  it('messages accepted by one server reach a stream of the other in order', async () => {
    const token = await here.register('streamer');
    const opened = await stream(there, 'streamer', token, 50);
    const ids = Array.from({ length: 20 }, (_, index) => `far-${index}`);
    for (const id of ids) await messagingOf(here).send(here.tokens.admin, { id, to: { agent: 'streamer' } });
    await waitFor('all deliveries to arrive', () => opened.deliveries.length === ids.length);
    expect(idsOf(opened.deliveries)).toEqual(ids);
  });

  it('an ack at one server lets a stream of the other continue that was at its limit', async () => {
    const token = await here.register('acker');
    await messagingOf(here).send(here.tokens.admin, { id: 'one', to: { agent: 'acker' } });
    await messagingOf(here).send(here.tokens.admin, { id: 'two', to: { agent: 'acker' } });
    const opened = await stream(there, 'acker', token, 1);
    const [first] = opened.deliveries;
    if (!first) throw new Error('nothing was delivered');
    expect((await messagingOf(here).settle(token, first)).status).toBe(200);
    await waitFor('the next delivery', () => idsOf(opened.deliveries).join() === 'one,two');
  });

  it('a delivery written without a notification is found by polling', async () => {
    const token = await here.register('unwarned');
    const polled = messagingOf(there).receive('unwarned', token, '?waitSeconds=20');
    await waitFor('the poll to wait', () => there.deps.notifier.waiting === 1);
    const message = { id: 'silent', source: 'elsewhere', type: 't', clusterId: null, epoch: null, data: 1 };
    await deliver(databases.communication, message, ['unwarned']);
    expect(idsOf(await polled)).toEqual(['silent']);
  });

  it('the same message sent to both servers at the same time is accepted once', async () => {
    const token = await here.register('both');
    const message = { id: 'once', to: { agent: 'both' } };
    const results = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        messagingOf(index % 2 === 0 ? here : there).send(here.tokens.admin, message),
      ),
    );
    expect(results.flat().filter((result) => result.accepted && !result.duplicate)).toHaveLength(1);
    expect(idsOf(await messagingOf(here).receive('both', token))).toEqual(['once']);
  });

  it('a token revoked at one server is rejected by the other within a second', async () => {
    const token = await here.register('revoked');
    expect(await messagingOf(there).receive('revoked', token)).toEqual([]);
    await here.register('revoked');
    const revokedAtMs = performance.now();
    await waitFor('the other server to reject the token', async () => {
      const answer = await there.call('GET', '/v1/agents/revoked/inbox', { token });
      return answer.status === 401;
    });
    expect(performance.now() - revokedAtMs).toBeLessThan(1500);
  });
});

it('notifications between servers resume after the listening connection is lost', async () => {
  const databases = await createTestDatabases();
  const [here, there] = [await startTestApi({ databases }), await startTestApi({ databases })];
  try {
    const lines = () =>
      there.log.filter((line) => line.includes('notifications between servers are interrupted')).length;
    await waitFor('the connection to be cut', async () => {
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'cluster-manager notifications'`.execute(
        databases.communication,
      );
      return lines() > 0;
    });
    const token = await here.register('patient');
    for (const id of ['cut-1', 'cut-2', 'cut-3']) {
      const polled = messagingOf(there).receive('patient', token, '?waitSeconds=20&max=1');
      await messagingOf(here).send(here.tokens.admin, { id, to: { agent: 'patient' } });
      expect(idsOf(await polled)).toEqual([id]);
    }
    await waitFor('both servers to listen again', async () => {
      const { rows } = await sql<{ n: number }>`select count(*) as n from pg_stat_activity
        where datname = current_database() and application_name = 'cluster-manager notifications'`.execute(
        databases.communication,
      );
      return rows[0]?.n === 2;
    });
  } finally {
    await here.stop();
    await there.stop();
    await databases.drop();
  }
});
