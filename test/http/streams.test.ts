import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect } from 'node:net';
import { waitFor } from '../support/wait-for.js';
import { codeOf, idsOf, mailingOf, openStream, type Mailing, type TestStream } from './messaging-fixture.js';
import { startTestApi, type TestApi } from './support.js';

const streamPingMs = 300;

describe.each([{ wakeUps: true }, { wakeUps: false }])(
  'an inbox as a stream, with wake-ups: $wakeUps',
  ({ wakeUps }) => {
    let test: TestApi;
    let mail: Mailing;
    beforeAll(async () => {
      test = await startTestApi({ communication: { wakeUps }, streamPingMs });
      mail = mailingOf(test);
    });
    afterAll(() => test.stop());

    const streams: TestStream[] = [];
    afterEach(async () => {
      for (const stream of streams.splice(0)) stream.leave();
      await noneOpen();
    });
    const open = async (agentId: string, token: string, max?: number): Promise<TestStream> => {
      const stream = await openStream(test, agentId, { token, ...(max === undefined ? {} : { max }) });
      streams.push(stream);
      return stream;
    };
    const openNow = async (): Promise<number> =>
      (await test.deps.request.metrics.openStreams.get()).values[0]?.value ?? 0;
    const noneOpen = () => waitFor('all streams to be freed', async () => (await openNow()) === 0);
    const arrived = (stream: TestStream, ...ids: readonly string[]) =>
      waitFor(`${ids.join(', ')} to arrive`, () => ids.every((id) => idsOf(stream.deliveries).includes(id)));
    const send = (agentId: string, ...ids: readonly string[]) =>
      mail.send(test.tokens.admin, ...ids.map((id) => ({ id, to: { agent: agentId } })));

    it('brings what is there and what comes, an event a delivery', async () => {
      const token = await test.register('st-1');
      await send('st-1', 'before');
      const stream = await open('st-1', token);
      expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
      expect(stream.headers.get('cache-control')).toBe('no-store');
      await arrived(stream, 'before');
      await waitFor('the stream to wait', () => test.deps.messages.notifier.waiting === 1);
      const sentAtMs = performance.now();
      await send('st-1', 'after');
      await arrived(stream, 'after');
      expect(performance.now() - sentAtMs).toBeLessThan(500);
      expect(stream.eventIds).toEqual(stream.deliveries.map(({ id }) => id));
      // The same delivery as a poll gives: it is acked by the same call.
      for (const delivery of stream.deliveries) expect((await mail.settle(token, delivery)).status).toBe(200);
      expect(await mail.receive('st-1', token)).toEqual([]);
    });

    it('carries any text without breaking its lines', async () => {
      const token = await test.register('st-2');
      const stream = await open('st-2', token);
      const data = 'one\ntwo\r\nevent: delivery\ndata: {}\n\n: comment\u2028\u2029ä😀"\\';
      await mail.send(test.tokens.admin, { id: 'lines', to: { agent: 'st-2' }, data });
      await arrived(stream, 'lines');
      expect(stream.deliveries.map(({ message }) => message.data)).toEqual([data]);
    });

    it('says that it is alive while there is nothing, and while its reader holds all it may', async () => {
      const token = await test.register('st-3');
      const stream = await open('st-3', token, 1);
      await waitFor('two pings', () => stream.comments.filter((comment) => comment === 'ping').length >= 2);
      await send('st-3', 'held', 'waits');
      await arrived(stream, 'held');
      const before = stream.comments.length;
      await waitFor('two more', () => stream.comments.length >= before + 2);
      expect(idsOf(stream.deliveries)).toEqual(['held']);
    });

    it('holds no more than max unacked, and goes on after each ack or nack', async () => {
      const token = await test.register('st-4');
      await send('st-4', 'm-1', 'm-2', 'm-3', 'm-4', 'm-5');
      const stream = await open('st-4', token, 2);
      await arrived(stream, 'm-1', 'm-2');
      const before = stream.comments.length;
      await waitFor('it to have had time for more', () => stream.comments.length > before);
      expect(idsOf(stream.deliveries)).toEqual(['m-1', 'm-2']);
      const [first, second] = stream.deliveries;
      if (!first || !second) throw new Error('nothing was delivered');
      const ackedAtMs = performance.now();
      await mail.settle(token, first);
      await arrived(stream, 'm-3');
      expect(performance.now() - ackedAtMs).toBeLessThan(500);
      await mail.settle(token, second, 'nack', { delaySeconds: 3600 });
      await arrived(stream, 'm-4');
      expect(idsOf(stream.deliveries)).toEqual(['m-1', 'm-2', 'm-3', 'm-4']);
      const third = stream.deliveries[2];
      if (third)
        await test.call('POST', '/v1/deliveries/ack', {
          token,
          body: { acks: [third].map(({ id, leaseToken }) => ({ id, leaseToken })) },
        });
      await arrived(stream, 'm-5');
    });

    it('brings again what was not acked in time', async () => {
      const token = await test.register('st-5');
      const { leaseSeconds, retryDelaysSeconds } = test.deps.request.config().communication;
      mail.tune({ leaseSeconds: 1, retryDelaysSeconds: [0] });
      const stream = await open('st-5', token);
      await send('st-5', 'again');
      await waitFor('the second try', () => stream.deliveries.length >= 2);
      mail.tune({ leaseSeconds, retryDelaysSeconds });
      expect(stream.deliveries.map(({ attempt }) => attempt).slice(0, 2)).toEqual([1, 2]);
      expect(new Set(stream.deliveries.map(({ id }) => id)).size).toBe(1);
    });

    it('ends when its token is revoked, and hands nothing to it any more', async () => {
      const token = await test.register('st-6');
      const stream = await open('st-6', token);
      await waitFor('the stream to wait', () => test.deps.messages.notifier.waiting === 1);
      const fresh = await test.register('st-6');
      await send('st-6', 'for-the-new-one');
      await waitFor('the stream to end', stream.isOver);
      expect(stream.deliveries).toEqual([]);
      expect(await mail.receive('st-6', fresh)).toHaveLength(1);
    });

    it('ends also when it never has to wait: each hand-over looks at the token', async () => {
      const token = await test.register('st-7');
      const stream = await open('st-7', token, 1);
      await send('st-7', ...Array.from({ length: 30 }, (_, index) => `flow-${index}`));
      await waitFor('the first one', () => stream.deliveries.length === 1);
      const fresh = await test.register('st-7');
      const [first] = stream.deliveries;
      if (first) expect((await mail.settle(fresh, first)).status).toBe(200);
      await waitFor('the stream to end', stream.isOver);
      expect(stream.deliveries).toHaveLength(1);
    });

    it('of a client that vanishes is freed, and its unacked mail comes again', async () => {
      const token = await test.register('st-8');
      const stream = await open('st-8', token);
      await waitFor('the stream to be counted', async () => (await openNow()) === 1);
      stream.leave();
      await noneOpen();
      await waitFor('nobody to wait', () => test.deps.messages.notifier.waiting === 0);
      await send('st-8', 'not-lost');
      expect((await mail.receive('st-8', token)).map(({ attempt }) => attempt)).toEqual([1]);
    });

    it('of a client that is cut off without a word is freed as well', async () => {
      const token = await test.register('st-9');
      const { hostname, port } = new URL(test.url);
      const socket = connect(Number(port), hostname);
      socket.write(
        `GET /v1/agents/st-9/inbox HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${token}\r\naccept: text/event-stream\r\n\r\n`,
      );
      await waitFor('the stream to be counted', async () => (await openNow()) === 1);
      socket.resetAndDestroy();
      expect(await noneOpen()).toBe(true);
    });

    it('is refused with 429 when as many are open as may be, and taken when one has gone', async () => {
      const { maxStreams } = test.deps.request.config().communication;
      mail.tune({ maxStreams: 2 });
      const token = await test.register('st-10');
      const [first, second] = [await open('st-10', token), await open('st-10', token)];
      const refused = await open('st-10', token);
      expect([
        refused.status,
        codeOf({ status: refused.status, headers: refused.headers, body: refused.body }),
      ]).toEqual([429, 'too_many_requests']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      // Polling is not streaming.
      expect(await mail.receive('st-10', token)).toEqual([]);
      first.leave();
      await waitFor('a place', async () => (await openNow()) === 1);
      expect((await open('st-10', token)).status).toBe(200);
      expect(second.isOver()).toBe(false);
      mail.tune({ maxStreams });
    });

    it('shared by two readers gives each delivery to one of them', async () => {
      const token = await test.register('st-11');
      const readers = [await open('st-11', token), await open('st-11', token)];
      const ids = Array.from({ length: 8 }, (_, index) => `shared-${index}`);
      for (const id of ids) await send('st-11', id);
      const all = () => readers.flatMap(({ deliveries }) => idsOf(deliveries));
      await waitFor('all to arrive', () => all().length >= ids.length);
      expect(all().sort()).toEqual(ids);
    });

    it('is another agent’s own: 404, and none for an operator of an agent that is not there', async () => {
      await test.register('st-12');
      const stranger = await test.register('st-13');
      expect((await open('st-12', stranger)).status).toBe(404);
      expect((await open('st-none', test.tokens.admin)).status).toBe(404);
      expect((await open('st-12', test.tokens.viewer)).status).toBe(403);
    });

    it('ends when the server stops, without waiting for its reader', async () => {
      const other = await startTestApi({ communication: { wakeUps }, streamPingMs: 15_000 });
      const token = await other.register('st-14');
      const stream = await openStream(other, 'st-14', { token });
      await waitFor('the stream to wait', () => other.deps.messages.notifier.waiting === 1);
      const stoppedAtMs = performance.now();
      const stopped = other.stop();
      await waitFor('the stream to end', stream.isOver);
      // Its connection is cut after two seconds: it must have been ended before.
      expect(performance.now() - stoppedAtMs).toBeLessThan(1900);
      await stopped;
    });
  },
);
