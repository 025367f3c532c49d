import type { Context } from 'hono';
import { authenticate } from '../middleware/authentication.js';
import type { MessageDeps, ApiEnv } from '../deps.js';
import { deliverNext, type SerializedDelivery } from '../../messaging/deliver-next.js';
import { RetryLater } from '../middleware/problem-details.js';

/** @returns what answers with an agent's inbox as a stream, and counts those that are open. */
export function inboxStreams(deps: MessageDeps): (c: Context<ApiEnv>, agentId: string, max: number) => Response {
  const streams = { open: 0 };
  return (c, agentId, max) => streamInbox(c, deps, { streams, agentId, max });
}

/**
 * An inbox as server-sent events: `delivery` events while there is mail, a comment after each `streamPingMs` of silence:
 * proxies cut a stream that says nothing for half a minute, and a reader must be able to tell silence from death. The
 * next chunk is made when the one before was taken, so a reader that is slow or gone holds back itself and nobody else;
 * what it held and did not ack is handed over again when its lease has run out.
 * @throws ManagerError `too_many_requests` when as many streams are open as may be.
 */
function streamInbox(
  c: Context<ApiEnv>,
  deps: MessageDeps,
  { streams, agentId, max }: { readonly streams: { open: number }; readonly agentId: string; readonly max: number },
): Response {
  const { maxStreams } = deps.config().communication;
  if (streams.open >= maxStreams) {
    throw new RetryLater(
      'too_many_requests',
      `${streams.open} inboxes are being streamed, as many as this server takes; use another server, or poll with waitSeconds`,
      10,
    );
  }
  const { signal } = c.req.raw;
  const encoder = new TextEncoder();
  let isOpen = true;
  const count = (change: number): void => {
    streams.open += change;
    deps.metrics.openStreams.inc(change);
  };
  const close = (): void => {
    if (isOpen) count(-1);
    isOpen = false;
  };
  count(1);
  signal.addEventListener('abort', close, { once: true });
  let saidAtMs = performance.now();
  const next = async (): Promise<string | undefined> => {
    if (signal.aborted || deps.stopping.aborted) return undefined;
    // Before every hand-over, also of a stream that never has to wait: the token may have been revoked meanwhile.
    await authenticate(c);
    const since = deps.notifier.moment;
    const deliveries = await deliverNext(deps, agentId, max, max);
    if (deliveries.length > 0) return deliveries.map(eventOf).join('');
    // From the last word said, not the last look: one who holds as much as it may is looked at again and again.
    await deps.notifier.wait(agentId, since, saidAtMs + deps.streamPingMs - performance.now(), signal);
    return performance.now() >= saidAtMs + deps.streamPingMs ? ': ping\n\n' : '';
  };
  const body = new ReadableStream<Uint8Array>(
    {
      start: (controller) => controller.enqueue(encoder.encode('retry: 1000\n: open\n\n')),
      pull: async (controller) => {
        try {
          for (;;) {
            const chunk = await next();
            if (chunk === undefined || signal.aborted || deps.stopping.aborted) break;
            if (chunk === '') continue;
            saidAtMs = performance.now();
            return controller.enqueue(encoder.encode(chunk));
          }
        } catch (err) {
          deps.logger.debug({ err, agentId }, 'stream ended');
        }
        close();
        controller.close();
      },
      cancel: close,
    },
    { highWaterMark: 1 },
  );
  return new Response(body, {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    },
  });
}

const eventOf = ({ id, text }: SerializedDelivery): string => `event: delivery\nid: ${id}\ndata: ${text}\n\n`;
