import type { MessageDeps } from '../deps.js';
import { deliverNext, type SerializedDelivery } from '../../messaging/deliver-next.js';
import { CountByKey } from '../count-by-key.js';
import { retryLater } from '../error-with-headers.js';

interface OpenStreams {
  open: number;
  readonly byAgent: CountByKey;
}

interface StreamRequest {
  readonly agentId: string;
  /** Deliveries that may be unacknowledged at a time. */
  readonly max: number;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
  readonly reauthenticate: () => Promise<void>;
}

/** @returns a function that answers a request with an agent's inbox as a stream; it counts the open streams. */
export function inboxStreams(deps: MessageDeps): (request: StreamRequest) => Response {
  const streams = { open: 0, byAgent: new CountByKey() };
  return (request) => streamInbox(deps, streams, request);
}

/**
 * Streams an inbox as server-sent events: a `delivery` event for each delivery, and a comment after each `streamPingMs`
 * without one, because proxies cut idle streams and a client must be able to tell an idle stream from a dead one. The
 * next chunk is produced only after the previous one was read, so a slow client delays itself only; deliveries that it
 * does not acknowledge are redelivered when their leases end.
 * @throws ManagerError `too_many_requests` when the server or the agent has its maximum of open streams.
 */
function streamInbox(
  deps: MessageDeps,
  streams: OpenStreams,
  { agentId, max, signal, reauthenticate }: StreamRequest,
): Response {
  requireRoom(deps, streams, agentId);
  const encoder = new TextEncoder();
  const close = countStream(deps, streams, agentId, signal);
  let sentAtMs = performance.now();
  const next = async (): Promise<string | undefined> => {
    if (signal.aborted || deps.stopping.aborted) return undefined;
    // Before every chunk, also when there was no wait: the token may have been revoked meanwhile.
    await reauthenticate();
    const since = deps.notifier.moment;
    const deliveries = await deliverNext(deps, agentId, max, max);
    if (deliveries.length > 0) return deliveries.map(eventOf).join('');
    // Counted from the last chunk sent, not from the last query: an agent with max unacknowledged deliveries is queried often.
    await deps.notifier.wait(agentId, since, sentAtMs + deps.streamPingMs - performance.now(), signal);
    return performance.now() >= sentAtMs + deps.streamPingMs ? ': ping\n\n' : '';
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
            sentAtMs = performance.now();
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

/** @throws ManagerError `too_many_requests` when the server or the agent has its maximum of open streams. */
function requireRoom(deps: MessageDeps, streams: OpenStreams, agentId: string): void {
  const { maxStreams } = deps.config().communication;
  if (streams.open >= maxStreams) {
    throw retryLater(
      'too_many_requests',
      `This server has its maximum of ${streams.open} open inbox streams; use another server, or poll with waitSeconds`,
      10,
    );
  }
  const { streams: maxOfAgent } = deps.config().tokenLimits;
  if (streams.byAgent.countOf(agentId) >= maxOfAgent) {
    throw retryLater(
      'too_many_requests',
      `Agent "${agentId}" has its maximum of ${maxOfAgent} open inbox streams on this server; close one first`,
      10,
    );
  }
}

/** Counts an open stream. @returns a function that counts it as closed; the client's disconnect does so, too. */
function countStream({ metrics }: MessageDeps, streams: OpenStreams, agentId: string, signal: AbortSignal): () => void {
  let isOpen = true;
  const leave = streams.byAgent.add(agentId);
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    streams.open -= 1;
    leave();
    metrics.openStreams.dec();
  };
  streams.open += 1;
  metrics.openStreams.inc();
  signal.addEventListener('abort', close, { once: true });
  return close;
}

const eventOf = ({ id, text }: SerializedDelivery): string => `event: delivery\nid: ${id}\ndata: ${text}\n\n`;
