import type { AgentCall } from '../connection/agent-api.js';
import { backoffMs, defaultBackoff, sleep } from '../connection/backoff.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';
import { linkSignals } from '../linked-signal.js';
import { createDeliveryProcessor, type DeliveryProcessor } from './delivery-processor.js';
import type { Dispatcher } from './dispatch.js';
import { readInboxStream } from './inbox-stream.js';

/** Covers the whole range, so that a thousand agents do not reconnect to a restarted server at once. */
const reopenWithinMs = 3000;
/** After so many streams in a row without any bytes, the agent polls instead. */
const maxEmptyStreams = 2;
const streamAgainAfterMs = 300_000;
/** The most unacknowledged deliveries that the manager gives to one agent. */
const maxUnacked = 100;
const idleMs = 60_000;
/** Polls beside an open stream are short: deliveries from two sources may arrive out of order. */
const besideStreamSeconds = 1;

interface Consumer {
  readonly context: AgentContext;
  readonly processor: DeliveryProcessor;
  /** Polling replaces the stream: by choice, or because no stream gets through. */
  isPolling: boolean;
}

/**
 * Receives deliveries and processes them until the agent stops, then waits for the running handlers and their acks. It
 * receives only while the agent's lease is held: after that others may have its work.
 */
export async function consumeInbox(context: AgentContext, dispatcher: Dispatcher): Promise<void> {
  const { receive } = context.settings;
  const processor = createDeliveryProcessor(context, dispatcher);
  const consumer: Consumer = { context, processor, isPolling: receive === 'poll' };
  await Promise.all([poll(consumer), receive === 'stream' ? followStream(consumer) : undefined]);
  await processor.close();
}

async function followStream(consumer: Consumer): Promise<void> {
  const { context, processor } = consumer;
  const { agentId, settings, api, pollWake, logger } = context;
  const { stopSignal } = context.lifecycle;
  for (let emptyStreams = 0; !stopSignal.aborted;) {
    const result = await callWhileRegistered(context, async (call) => {
      const answer = await api.openInbox({ params: { id: agentId }, query: { max: settings.batchSize } }, call);
      let hasBytes = false;
      const end = await readInboxStream(answer, call.signal, {
        onBytes: () => {
          hasBytes = true;
          emptyStreams = 0;
          consumer.isPolling = false;
        },
        onDelivery: (delivery) => processor.accept([delivery]),
      });
      if (end === 'no stream') emptyStreams = maxEmptyStreams;
      else if (!hasBytes) emptyStreams++;
      logger.debug({ why: end }, 'inbox stream ended');
    });
    // Registering again has already waited a random time.
    if (result === 'replaced') continue;
    const isBlocked = emptyStreams >= maxEmptyStreams;
    if (isBlocked && !consumer.isPolling) {
      logger.warn({ agentId }, 'no inbox stream gets through; polling instead');
      consumer.isPolling = true;
      pollWake.wake();
    }
    await sleep(isBlocked ? streamAgainAfterMs : Math.random() * reopenWithinMs, stopSignal);
  }
}

async function poll(consumer: Consumer): Promise<void> {
  const { context, processor } = consumer;
  const { agentId, settings, api, pollWake, nowMs } = context;
  const { stopSignal } = context.lifecycle;
  for (let failures = 0; !stopSignal.aborted;) {
    const max = deliveriesToPoll(consumer);
    if (max === 0) {
      await sleep(idleMs, stopSignal, pollWake);
      continue;
    }
    const sentAtMs = nowMs();
    let isEmpty = false;
    const result = await callWhileRegistered(context, async (call) => {
      const waitSeconds = consumer.isPolling
        ? settings.waitSeconds
        : Math.min(settings.waitSeconds, besideStreamSeconds);
      const input = { params: { id: agentId }, query: { max, waitSeconds } };
      const timeoutMs = (waitSeconds + 10) * 1000;
      const { deliveries } = await api.request('readInbox', input, { ...call, timeoutMs });
      isEmpty = deliveries.length === 0;
      processor.accept(deliveries);
    });
    // Without this, a server that shuts down, or `waitSeconds: 0`, would make it poll in a busy loop.
    const isTooSoon = isEmpty && nowMs() - sentAtMs < defaultBackoff.baseMs;
    failures = result === 'failed' || isTooSoon ? failures + 1 : 0;
    if (failures > 0) await sleep(backoffMs(failures), stopSignal);
  }
}

function deliveriesToPoll({ context, processor, isPolling }: Consumer): number {
  const { batchSize } = context.settings;
  const inFlight = processor.inFlight();
  // A running handler may wait for a reply that is queued behind a full batch.
  if (context.requests.count() > 0 && inFlight >= batchSize) return Math.max(0, maxUnacked - inFlight);
  return isPolling && inFlight <= batchSize / 2 ? batchSize - inFlight : 0;
}

/**
 * Makes a call once the lease is held; the call ends with that registration, or with the agent.
 * @returns `replaced` when the call must be made again under another registration.
 */
async function callWhileRegistered(
  context: AgentContext,
  receive: (call: AgentCall) => Promise<void>,
): Promise<'done' | 'replaced' | 'failed'> {
  const { agentId, lease, lifecycle, events, logger } = context;
  const token = await lease.whenHeld(lifecycle.stopSignal);
  if (token === undefined) return 'replaced';
  const link = linkSignals(lease.registrationSignal(), lifecycle.stopSignal);
  try {
    await receive({ token, signal: link.signal });
    return 'done';
  } catch (error) {
    if (link.signal.aborted) return 'replaced';
    if (hasCode(error, 'unauthenticated', 'not_found')) {
      context.dropRefusedLease(token, error);
      return 'replaced';
    }
    logger.warn({ agentId, err: error }, 'inbox could not be read');
    if (!hasCode(error, 'service_unavailable')) events.emit('error', asError(error));
    return 'failed';
  } finally {
    link.release();
  }
}
