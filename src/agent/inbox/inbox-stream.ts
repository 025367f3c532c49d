import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { z } from 'zod';
import type { OpenAnswer } from '../../contracts/api-call.js';
import { endpoints } from '../../contracts/endpoints.js';
import { ManagerError } from '../../contracts/errors.js';
import { deliveryView, type DeliveryView } from '../../contracts/inbox.js';

/** The server sends a ping every 15 s: after three missing ones the connection is taken for broken. */
const defaultSilenceMs = 45_000;
/** The server sends the first bytes at once: a proxy buffers a stream that is silent from the beginning. */
const defaultFirstBytesMs = 10_000;
/** Many times the largest delivery. */
const maxEventBytes = 8 * 1024 * 1024;

/** `no stream`: the other side does not serve streams, or answered with one document. */
export type StreamEnd = 'ended' | 'silent' | 'no stream';

export interface StreamReader {
  /** Called for every chunk, pings included. */
  readonly onBytes: () => void;
  readonly onDelivery: (delivery: DeliveryView) => void;
  readonly silenceMs?: number;
  readonly firstBytesMs?: number;
}

/**
 * Reads an agent's inbox stream to its end.
 * @throws ManagerError `service_unavailable` when the connection broke, `incompatible_service` for an event of another
 * version. When the signal was aborted: its reason.
 */
export async function readInboxStream(
  answer: OpenAnswer,
  signal: AbortSignal,
  reader: StreamReader,
): Promise<StreamEnd> {
  const { onBytes, onDelivery, silenceMs = defaultSilenceMs, firstBytesMs = defaultFirstBytesMs } = reader;
  if (!/^text\/event-stream\b/i.test(answer.contentType)) {
    await withinMs(firstBytesMs, readDocument(answer, onDelivery));
    return 'no stream';
  }
  const parser = createParser({
    maxBufferSize: maxEventBytes,
    onEvent: (event) => {
      if (event.event === 'delivery') onDelivery(deliveryOf(event));
    },
  });
  const body = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  // fetch stops forwarding an abort to the body once its Response was garbage-collected.
  const cancel = (): void => void body.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (let limitMs = firstBytesMs; ; limitMs = silenceMs) {
      const chunk = await withinMs(limitMs, body.read());
      if (chunk === 'silent') return 'silent';
      signal.throwIfAborted();
      if (chunk.done) return 'ended';
      onBytes();
      parser.feed(chunk.value);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ManagerError) throw error;
    throw new ManagerError('service_unavailable', `The inbox stream broke: ${String(error)}`, { cause: error });
  } finally {
    signal.removeEventListener('abort', cancel);
    // Not awaited: cancelling a connection that hangs would hang, too.
    cancel();
  }
}

async function withinMs<Value>(ms: number, promise: Promise<Value>): Promise<Value | 'silent'> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<'silent'>((resolve) => (timer = setTimeout(() => resolve('silent'), ms)));
  try {
    return await Promise.race([promise, silence]);
  } finally {
    clearTimeout(timer);
  }
}

function deliveryOf({ id, data }: EventSourceMessage): DeliveryView {
  const parsed = z.string().transform(toJson).pipe(deliveryView).safeParse(data);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new ManagerError(
    'incompatible_service',
    `The inbox stream sent a delivery of another version ("${id ?? ''}", ${issue?.path.join('.') || 'its data'}: ` +
      `${issue?.message ?? 'unexpected'}); run the same version on both sides`,
  );
}

/** A server without streams answers as to a poll. Its deliveries are leased to this agent and must be handled. */
async function readDocument(answer: OpenAnswer, onDelivery: StreamReader['onDelivery']): Promise<void> {
  const text = await new Response(answer.body).text();
  const parsed = z.string().transform(toJson).pipe(endpoints.readInbox.responses[200].body).safeParse(text);
  if (parsed.success) parsed.data.deliveries.forEach(onDelivery);
}

function toJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'is not JSON' });
    return z.NEVER;
  }
}
