import { describe, expect, it } from 'vitest';
import { readInboxStream } from '../../src/agent/inbox-stream.js';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import { waitFor } from '../support/wait-for.js';
import { answer, deliveryOf, eventOf, refuse, type Call } from './support/fake-manager.js';
import { endAgentsAfterEach, oneAgent } from './support/fleet-of-one.js';

endAgentsAfterEach();

const acked = (calls: readonly Call[]): string[] =>
  calls.flatMap(({ body }) => (body as { acks: { id: string }[] }).acks.map(({ id }) => id));
const isInbox = ({ method, path }: Call): boolean => method === 'GET' && path.endsWith('/inbox');

describe('an inbox stream', () => {
  const read = async (chunks: readonly Uint8Array[], contentType = 'text/event-stream; charset=utf-8') => {
    const deliveries: DeliveryView[] = [];
    let signs = 0;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    const end = await readInboxStream({ contentType, body, serverTimeMs: undefined }, new AbortController().signal, {
      onSign: () => signs++,
      onDelivery: (delivery) => deliveries.push(delivery),
    });
    return { end, deliveries, signs };
  };
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  it('is read whole however it is cut into pieces, pings and unknown events left out', async () => {
    const first = deliveryOf({ id: 'm-1', data: 'žluťoučký 🐎\r\nand a second line' });
    const second = deliveryOf({ id: 'm-2' });
    const text = `: ping\n\n${eventOf(first)}event: of-another-version\ndata: {}\n\n${eventOf(second).replaceAll('\n', '\r\n')}`;
    for (const size of [1, 7, 100_000]) {
      const all = bytes(text);
      const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
        all.slice(n * size, (n + 1) * size),
      );
      const { end, deliveries, signs } = await read(chunks);
      expect(deliveries).toEqual([first, second]);
      expect(signs).toBeGreaterThan(0);
      expect(end).toEqual({ why: 'ended' });
    }
  });

  it('brings nothing of an event that was cut off', async () => {
    const text = eventOf(deliveryOf({ id: 'm-1' }));
    expect((await read([bytes(text.slice(0, -1))])).deliveries).toEqual([]);
  });

  it('refuses what is no delivery by saying where it differs', async () => {
    await expect(read([bytes('event: delivery\nid: 1-1\ndata: {"id":"1-1"}\n\n')])).rejects.toMatchObject({
      code: 'incompatible_service',
      message: expect.stringContaining('leaseToken'),
    });
    await expect(read([bytes('event: delivery\ndata: nonsense\n\n')])).rejects.toThrow(/is not JSON/);
  });

  it('that answers as a question does is taken whole', async () => {
    const delivery = deliveryOf({ id: 'm-1' });
    const { end, deliveries } = await read([bytes(JSON.stringify({ deliveries: [delivery] }))], 'application/json');
    expect(deliveries).toEqual([delivery]);
    expect(end).toEqual({ why: 'no stream' });
  });

  it('ends when nothing comes, and lets go of its connection', async () => {
    for (const signs of [0, 1]) {
      let isCancelled = false;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          if (signs > 0) controller.enqueue(bytes(': ping\n\n'));
        },
        cancel: () => void (isCancelled = true),
      });
      const limits = signs > 0 ? { silenceMs: 30, firstSignMs: 60_000 } : { silenceMs: 60_000, firstSignMs: 30 };
      const end = await readInboxStream(
        { contentType: 'text/event-stream', body, serverTimeMs: undefined },
        new AbortController().signal,
        { onSign: () => undefined, onDelivery: () => undefined, ...limits },
      );
      expect(end).toEqual({ why: 'silent' });
      await waitFor('the connection to be let go', () => isCancelled);
    }
  });
});

describe('an agent that follows its stream', () => {
  it('opens it again when it was cut in the midst of an event, and handles what comes again once', async () => {
    const { agent, manager } = await oneAgent();
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    await agent.start();
    const first = await waitFor('the stream', () => manager.streams[0]);
    const [one, two] = [deliveryOf({ id: 'm-1' }), deliveryOf({ id: 'm-2' })];
    first.deliver(one);
    await waitFor('the first message', () => got.length === 1);
    first.write(eventOf(two).slice(0, -20));
    first.destroy();
    const second = await waitFor('another stream', () => manager.streams[1]);
    // As when the ack of the first was lost on the way: the same message under another lease.
    second.deliver({ ...one, leaseToken: 'another', attempt: 2 }, { ...two, attempt: 2 });
    await waitFor('three acks', () => acked(manager.callsTo('POST /v1/deliveries/ack')).length === 3);
    expect(got).toEqual(['m-1', 'm-2']);
    expect(manager.calls.filter(isInbox).map(({ query }) => query.toString())).toEqual(['max=32', 'max=32']);
  });

  it('closes it when it stops and when it had to register again', async () => {
    const { agent, manager } = await oneAgent();
    await agent.start();
    const first = await waitFor('the stream', () => manager.streams[0]);
    manager.respond((call, response) => call.token === 'own-1' && refuse(response, 401, 'unauthenticated'));
    agent.setReadiness('busy');
    const second = await waitFor('a stream with the new token', () => manager.streams[1]);
    await waitFor('the end of the first', () => first.isClosed());
    expect(manager.calls.filter(isInbox).map(({ token }) => token)).toEqual(['own-1', 'own-2']);
    await agent.stop();
    await waitFor('the end of the second', () => second.isClosed());
  });

  it('asks for its mail where no stream comes through', async () => {
    const { agent, manager, errors } = await oneAgent();
    const got: string[] = [];
    agent.onMessage(({ id }) => void got.push(id));
    let given = 0;
    manager.respond((call, response) => {
      if (!isInbox(call)) return false;
      const limit = call.query.has('waitSeconds') ? 3 : 1;
      const deliveries = given < limit ? [deliveryOf({ id: `m-${++given}` })] : undefined;
      return deliveries ? answer(response, 200, { deliveries }) : true;
    });
    await agent.start();
    await waitFor('mail', () => got.length === 3);
    expect(got).toEqual(['m-1', 'm-2', 'm-3']);
    const questions = manager.calls.filter(isInbox).map(({ query }) => query.has('waitSeconds'));
    expect(questions.slice(0, 3)).toEqual([false, true, true]);
    expect(errors).toEqual([]);
  });
});

describe('an agent that asks for its mail', () => {
  it('holds no more than its batch, and asks again when half of that is done', async () => {
    const { agent, manager } = await oneAgent({ receive: 'poll', batchSize: 4, waitSeconds: 7 });
    const finish: (() => void)[] = [];
    agent.onMessage(() => new Promise<void>((resolve) => finish.push(resolve)));
    let left = 6;
    manager.respond((call, response) => {
      if (!isInbox(call) || left === 0) return false;
      const max = Number(call.query.get('max'));
      const deliveries = Array.from({ length: Math.min(max, left) }, () => deliveryOf({ id: `m-${left--}` }));
      return answer(response, 200, { deliveries });
    });
    await agent.start();
    const asked = (): string[] => manager.calls.filter(isInbox).map(({ query }) => query.toString());
    await waitFor('the first', () => finish.length === 1);
    finish[0]?.();
    await waitFor('the second', () => finish.length === 2);
    expect(asked()).toEqual(['max=4&waitSeconds=7']);
    finish[1]?.();
    await waitFor('the second question', () => asked().length === 2);
    expect(asked()[1]).toBe('max=2&waitSeconds=7');
    for (let n = 2; n < 6; n++) {
      await waitFor(`message ${n + 1}`, () => finish.length === n + 1);
      finish[n]?.();
    }
    await waitFor('six acks', () => acked(manager.callsTo('POST /v1/deliveries/ack')).length === 6);
    expect(manager.streams).toEqual([]);
  });
});
