import { createParser, type EventSourceMessage } from 'eventsource-parser';
import { z } from 'zod';
import { inboxAnswer } from '../contracts/api-answers.js';
import type { OpenAnswer } from '../contracts/api-call.js';
import { ManagerError } from '../contracts/errors.js';
import { deliveryView, type DeliveryView } from '../contracts/inbox.js';

/** The server pings each 15 s: after three that did not come nobody is there any more. */
const silenceMs = 45_000;
/** The server speaks at once: what is silent from the beginning is held back by something on the way. */
const firstSignMs = 10_000;
/** Many times the largest delivery. */
const eventAtMost = 8 * 1024 * 1024;

export interface StreamEnd {
  /** `no stream`: what answered takes no streams, or something on the way holds them back. */
  readonly why: 'ended' | 'silent' | 'no stream';
}

export interface StreamReader {
  /** Something came, be it a ping. */
  readonly onSign: () => void;
  readonly onDelivery: (delivery: DeliveryView) => void;
  readonly silenceMs?: number;
  readonly firstSignMs?: number;
}

/**
 * Reads an agent's inbox stream to its end.
 * @throws ManagerError `service_unavailable` when the connection broke, `incompatible_service` for an event of another
 * version. When the stream's own signal was aborted: its reason.
 */
export async function readInboxStream(
  answer: OpenAnswer,
  signal: AbortSignal,
  reader: StreamReader,
): Promise<StreamEnd> {
  if (!/^text\/event-stream\b/i.test(answer.contentType)) {
    await withinMs(firstSignMs, takeWhole(answer, reader));
    return { why: 'no stream' };
  }
  const parser = createParser({
    maxBufferSize: eventAtMost,
    onEvent: (event) => {
      if (event.event === 'delivery') reader.onDelivery(deliveryOf(event));
    },
  });
  const body = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  // fetch forgets to pass an abort on to the body once its Response was collected as garbage.
  const cancel = (): void => void body.cancel(signal.reason).catch(() => undefined);
  signal.addEventListener('abort', cancel, { once: true });
  try {
    for (let limitMs = reader.firstSignMs ?? firstSignMs; ; limitMs = reader.silenceMs ?? silenceMs) {
      const chunk = await withinMs(limitMs, body.read());
      if (chunk === 'silent') return { why: 'silent' };
      signal.throwIfAborted();
      if (chunk.done) return { why: 'ended' };
      reader.onSign();
      parser.feed(chunk.value);
    }
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof ManagerError) throw error;
    throw new ManagerError('service_unavailable', `The inbox stream broke: ${String(error)}`, { cause: error });
  } finally {
    signal.removeEventListener('abort', cancel);
    // Not awaited: of a connection that hangs it would hang too.
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
    `The inbox stream brought a delivery of another version ("${id ?? ''}", ${issue?.path.join('.') || 'its data'}: ` +
      `${issue?.message ?? 'unexpected'}); run the same version on both sides`,
  );
}

/** A server that takes no streams answers as to a question: what it handed over is leased and must not lie. */
async function takeWhole(answer: OpenAnswer, reader: StreamReader): Promise<void> {
  const text = await new Response(answer.body).text();
  const whole = z.string().transform(toJson).pipe(inboxAnswer).safeParse(text);
  if (whole.success) whole.data.deliveries.forEach(reader.onDelivery);
}

function toJson(text: string, context: z.RefinementCtx): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue({ code: 'custom', message: 'is not JSON' });
    return z.NEVER;
  }
}
