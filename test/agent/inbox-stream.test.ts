import { describe, expect, it } from 'vitest';
import { readInboxStream } from '../../src/agent/inbox/inbox-stream.js';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import { waitFor } from '../support/wait-for.js';
import { deliveryOf, eventOf } from './support/views.js';

describe('the reader of an inbox stream', () => {
  const read = async (chunks: readonly Uint8Array[], contentType = 'text/event-stream; charset=utf-8') => {
    const deliveries: DeliveryView[] = [];
    let chunksRead = 0;
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        for (const chunk of chunks) controller.enqueue(chunk);
        controller.close();
      },
    });
    const end = await readInboxStream({ contentType, body, serverTimeMs: undefined }, new AbortController().signal, {
      onBytes: () => chunksRead++,
      onDelivery: (delivery) => deliveries.push(delivery),
    });
    return { end, deliveries, chunksRead };
  };
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

  it('yields every delivery however the bytes are split, and skips pings and unknown events', async () => {
    const first = deliveryOf({ id: 'm-1', data: 'žluťoučký 🐎\r\nand a second line' });
    const second = deliveryOf({ id: 'm-2' });
    const text = `: ping\n\n${eventOf(first)}event: of-another-version\ndata: {}\n\n${eventOf(second).replaceAll('\n', '\r\n')}`;
    for (const size of [1, 7, 100_000]) {
      const all = bytes(text);
      const chunks = Array.from({ length: Math.ceil(all.length / size) }, (_, n) =>
        all.slice(n * size, (n + 1) * size),
      );
      const { end, deliveries, chunksRead } = await read(chunks);
      expect(deliveries).toEqual([first, second]);
      expect(chunksRead).toBeGreaterThan(0);
      expect(end).toBe('ended');
    }
  });

  it('ignores an event that was cut off', async () => {
    const text = eventOf(deliveryOf({ id: 'm-1' }));
    expect((await read([bytes(text.slice(0, -1))])).deliveries).toEqual([]);
  });

  it('rejects an invalid delivery and names the wrong field', async () => {
    await expect(read([bytes('event: delivery\nid: 1-1\ndata: {"id":"1-1"}\n\n')])).rejects.toMatchObject({
      code: 'incompatible_service',
      message: expect.stringContaining('leaseToken'),
    });
    await expect(read([bytes('event: delivery\ndata: nonsense\n\n')])).rejects.toThrow(/is not JSON/);
  });

  it('reads all deliveries from a server that answers with one document', async () => {
    const delivery = deliveryOf({ id: 'm-1' });
    const { end, deliveries } = await read([bytes(JSON.stringify({ deliveries: [delivery] }))], 'application/json');
    expect(deliveries).toEqual([delivery]);
    expect(end).toBe('no stream');
  });

  it('ends and closes the connection when the stream is silent for too long', async () => {
    for (const pings of [0, 1]) {
      let isCancelled = false;
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          if (pings > 0) controller.enqueue(bytes(': ping\n\n'));
        },
        cancel: () => void (isCancelled = true),
      });
      const limits = pings > 0 ? { silenceMs: 30, firstBytesMs: 60_000 } : { silenceMs: 60_000, firstBytesMs: 30 };
      const end = await readInboxStream(
        { contentType: 'text/event-stream', body, serverTimeMs: undefined },
        new AbortController().signal,
        { onBytes: () => undefined, onDelivery: () => undefined, ...limits },
      );
      expect(end).toBe('silent');
      await waitFor('the connection to be closed', () => isCancelled);
    }
  });
});
