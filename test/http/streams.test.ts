import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect } from 'node:net';
import { waitFor } from '../support/wait-for.js';
import { codeOf, idsOf, messagingOf, openStream, type MessagingCalls, type TestStream } from './messaging-fixture.js';
import { startTestApi, type TestApi } from './support.js';

const streamPingMs = 300;

describe.each([{ wakeUps: true }, { wakeUps: false }])(
  'an inbox as a stream, with notifications: $wakeUps',
  ({ wakeUps }) => {
    let test: TestApi;
    let messaging: MessagingCalls;
    beforeAll(async () => {
      test = await startTestApi({ communication: { wakeUps }, streamPingMs });
      messaging = messagingOf(test);
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
    const openNow = async (): Promise<number> => (await test.deps.metrics.openStreams.get()).values[0]?.value ?? 0;
    const noneOpen = () => waitFor('all streams to close', async () => (await openNow()) === 0);
    const arrived = (stream: TestStream, ...ids: readonly string[]) =>
      waitFor(`${ids.join(', ')} to arrive`, () => ids.every((id) => idsOf(stream.deliveries).includes(id)));
    const send = (agentId: string, ...ids: readonly string[]) =>
      messaging.send(test.tokens.admin, ...ids.map((id) => ({ id, to: { agent: agentId } })));

    it('a stream sends stored and new deliveries, one event each', async () => {
      const token = await test.register('st-1');
      await send('st-1', 'before');
      const stream = await open('st-1', token);
      expect([stream.status, stream.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
      expect(stream.headers.get('cache-control')).toBe('no-store');
      await arrived(stream, 'before');
      await waitFor('the stream to wait', () => test.deps.notifier.waiting === 1);
      const sentAtMs = performance.now();
      await send('st-1', 'after');
      await arrived(stream, 'after');
      expect(performance.now() - sentAtMs).toBeLessThan(500);
      expect(stream.eventIds).toEqual(stream.deliveries.map(({ id }) => id));
      // Streamed deliveries are acked by the same call as polled ones.
      for (const delivery of stream.deliveries) expect((await messaging.settle(token, delivery)).status).toBe(200);
      expect(await messaging.receive('st-1', token)).toEqual([]);
    });

    it('a stream carries line breaks and any other text unchanged', async () => {
      const token = await test.register('st-2');
      const stream = await open('st-2', token);
      const data = 'one\ntwo\r\nevent: delivery\ndata: {}\n\n: comment\u2028\u2029ä😀"\\';
      await messaging.send(test.tokens.admin, { id: 'lines', to: { agent: 'st-2' }, data });
      await arrived(stream, 'lines');
      expect(stream.deliveries.map(({ message }) => message.data)).toEqual([data]);
    });

    it('a stream sends pings while the inbox is empty and while its reader is at the limit', async () => {
      const token = await test.register('st-3');
      const stream = await open('st-3', token, 1);
      await waitFor('two pings', () => stream.comments.filter((comment) => comment === 'ping').length >= 2);
      await send('st-3', 'held', 'waits');
      await arrived(stream, 'held');
      const before = stream.comments.length;
      await waitFor('two more pings', () => stream.comments.length >= before + 2);
      expect(idsOf(stream.deliveries)).toEqual(['held']);
    });

    it('a stream sends at most max unacked deliveries, and continues after each ack or nack', async () => {
      const token = await test.register('st-4');
      await send('st-4', 'm-1', 'm-2', 'm-3', 'm-4', 'm-5');
      const stream = await open('st-4', token, 2);
      await arrived(stream, 'm-1', 'm-2');
      const before = stream.comments.length;
      await waitFor('another ping', () => stream.comments.length > before);
      expect(idsOf(stream.deliveries)).toEqual(['m-1', 'm-2']);
      const [first, second] = stream.deliveries;
      if (!first || !second) throw new Error('nothing was delivered');
      const ackedAtMs = performance.now();
      await messaging.settle(token, first);
      await arrived(stream, 'm-3');
      expect(performance.now() - ackedAtMs).toBeLessThan(500);
      await messaging.settle(token, second, 'nack', { delaySeconds: 3600 });
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

    it('a stream sends a delivery again when its lease expires', async () => {
      const token = await test.register('st-5');
      const { leaseSeconds, retryDelaysSeconds } = test.deps.config().communication;
      messaging.tune({ leaseSeconds: 1, retryDelaysSeconds: [0] });
      const stream = await open('st-5', token);
      await send('st-5', 'again');
      await waitFor('the second attempt', () => stream.deliveries.length >= 2);
      messaging.tune({ leaseSeconds, retryDelaysSeconds });
      expect(stream.deliveries.map(({ attempt }) => attempt).slice(0, 2)).toEqual([1, 2]);
      expect(new Set(stream.deliveries.map(({ id }) => id)).size).toBe(1);
    });

    it('a waiting stream ends when its token is revoked, and sends no further delivery', async () => {
      const token = await test.register('st-6');
      const stream = await open('st-6', token);
      await waitFor('the stream to wait', () => test.deps.notifier.waiting === 1);
      const fresh = await test.register('st-6');
      await send('st-6', 'for-the-new-one');
      await waitFor('the stream to end', stream.isOver);
      expect(stream.deliveries).toEqual([]);
      expect(await messaging.receive('st-6', fresh)).toHaveLength(1);
    });

    it('a stream that always has deliveries to send ends when its token is revoked', async () => {
      const token = await test.register('st-7');
      const stream = await open('st-7', token, 1);
      await send('st-7', ...Array.from({ length: 30 }, (_, index) => `flow-${index}`));
      await waitFor('the first delivery', () => stream.deliveries.length === 1);
      const fresh = await test.register('st-7');
      const [first] = stream.deliveries;
      if (first) expect((await messaging.settle(fresh, first)).status).toBe(200);
      await waitFor('the stream to end', stream.isOver);
      expect(stream.deliveries).toHaveLength(1);
    });

    it('a stream whose client disconnects is closed, and leases no further delivery', async () => {
      const token = await test.register('st-8');
      const stream = await open('st-8', token);
      await waitFor('the stream to be counted', async () => (await openNow()) === 1);
      stream.leave();
      await noneOpen();
      await waitFor('the stream to stop waiting', () => test.deps.notifier.waiting === 0);
      await send('st-8', 'not-lost');
      expect((await messaging.receive('st-8', token)).map(({ attempt }) => attempt)).toEqual([1]);
    });

    it('a stream whose connection is reset is closed', async () => {
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

    it('a stream above max_streams gets 429, and is accepted after another one closes', async () => {
      const { maxStreams } = test.deps.config().communication;
      messaging.tune({ maxStreams: 2 });
      const token = await test.register('st-10');
      const [first, second] = [await open('st-10', token), await open('st-10', token)];
      const refused = await open('st-10', token);
      expect([
        refused.status,
        codeOf({ status: refused.status, headers: refused.headers, body: refused.body }),
      ]).toEqual([429, 'too_many_requests']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      // The limit does not apply to polls.
      expect(await messaging.receive('st-10', token)).toEqual([]);
      first.leave();
      await waitFor('one stream to close', async () => (await openNow()) === 1);
      expect((await open('st-10', token)).status).toBe(200);
      expect(second.isOver()).toBe(false);
      messaging.tune({ maxStreams });
    });

    it('a stream above limits.streams of one agent gets 429, and another agent still gets one', async () => {
      const { tokenLimits } = test.deps.config();
      test.configure({ tokenLimits: { ...tokenLimits, streams: 1 } });
      const [token, other] = [await test.register('st-many'), await test.register('st-one')];
      const first = await open('st-many', token);
      expect((await open('st-many', token)).status).toBe(429);
      const its = await open('st-one', other);
      expect(its.status).toBe(200);
      its.leave();
      first.leave();
      await waitFor('the stream to close', async () => {
        const again = await open('st-many', token);
        again.leave();
        return again.status === 200;
      });
      test.configure({ tokenLimits });
    });

    it('two streams of one agent receive each delivery once between them', async () => {
      const token = await test.register('st-11');
      const readers = [await open('st-11', token), await open('st-11', token)];
      const ids = Array.from({ length: 8 }, (_, index) => `shared-${index}`);
      for (const id of ids) await send('st-11', id);
      const all = () => readers.flatMap(({ deliveries }) => idsOf(deliveries));
      await waitFor('all deliveries to arrive', () => all().length >= ids.length);
      expect(all().sort()).toEqual(ids);
    });

    it('a stream of another agent or of an unknown one gets 404', async () => {
      await test.register('st-12');
      const stranger = await test.register('st-13');
      expect((await open('st-12', stranger)).status).toBe(404);
      expect((await open('st-none', test.tokens.admin)).status).toBe(404);
      expect((await open('st-12', test.tokens.viewer)).status).toBe(403);
    });

    it('a stream ends when its server stops, without waiting for its reader', async () => {
      const other = await startTestApi({ communication: { wakeUps }, streamPingMs: 15_000 });
      const token = await other.register('st-14');
      const stream = await openStream(other, 'st-14', { token });
      await waitFor('the stream to wait', () => other.deps.notifier.waiting === 1);
      const stoppedAtMs = performance.now();
      const stopped = other.stop();
      await waitFor('the stream to end', stream.isOver);
      // The server cuts open connections after two seconds, so the stream must have ended by itself.
      expect(performance.now() - stoppedAtMs).toBeLessThan(1900);
      await stopped;
    });
  },
);
