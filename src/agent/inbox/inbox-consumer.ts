import type { AgentCall } from '../connection/agent-api.js';
import { backoffMs, defaultBackoff, sleep, type WakeSignal } from '../connection/backoff.js';
import { dropRefusedLease, type Connection } from '../connection/connection.js';
import { asError, hasCode } from '../errors.js';
import type { Reporter } from '../events.js';
import { linkSignals } from '../linked-signal.js';
import type { PendingRequests } from '../messaging/pending-requests.js';
import type { AgentSettings } from '../options.js';
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

export interface InboxConsumerDeps {
  readonly connection: Connection;
  readonly dispatcher: Dispatcher;
  readonly requests: PendingRequests;
  readonly settings: Pick<AgentSettings, 'receive' | 'waitSeconds' | 'batchSize'>;
  readonly concurrency: number;
  /** Woken when a poll may be due. */
  readonly pollWake: WakeSignal;
  readonly reporter: Reporter;
}

interface Consumer extends InboxConsumerDeps {
  readonly processor: DeliveryProcessor;
  /** Polling replaces the stream: by choice, or because no stream gets through. */
  isPolling: boolean;
}

/**
 * Receives deliveries and processes them until the agent stops, then waits for the running handlers and their acks. It
 * receives only while the agent's lease is held: after that others may have its work.
 */
export async function consumeInbox(deps: InboxConsumerDeps): Promise<void> {
  const { receive } = deps.settings;
  const processor = createDeliveryProcessor({ ...deps, onRemoved: deps.pollWake.wake });
  const consumer: Consumer = { ...deps, processor, isPolling: receive === 'poll' };
  await Promise.all([poll(consumer), receive === 'stream' ? followStream(consumer) : undefined]);
  await processor.close();
}

async function followStream(consumer: Consumer): Promise<void> {
  const { connection, processor, settings, pollWake, reporter } = consumer;
  const { stopSignal } = connection.lifecycle;
  for (let emptyStreams = 0; !stopSignal.aborted;) {
    const result = await callWhileRegistered(consumer, async (call) => {
      const answer = await connection.api.openInbox(call, settings.batchSize);
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
      reporter.logger.debug({ why: end }, 'inbox stream ended');
    });
    // Registering again has already waited a random time.
    if (result === 'replaced') continue;
    const isBlocked = emptyStreams >= maxEmptyStreams;
    if (isBlocked && !consumer.isPolling) {
      reporter.logger.warn({ agentId: connection.agentId }, 'no inbox stream gets through; polling instead');
      consumer.isPolling = true;
      pollWake.wake();
    }
    await sleep(isBlocked ? streamAgainAfterMs : Math.random() * reopenWithinMs, stopSignal);
  }
}

async function poll(consumer: Consumer): Promise<void> {
  const { connection, processor, settings, pollWake } = consumer;
  const { api, lifecycle, nowMs } = connection;
  const { stopSignal } = lifecycle;
  for (let failures = 0; !stopSignal.aborted;) {
    const max = deliveriesToPoll(consumer);
    if (max === 0) {
      await sleep(idleMs, stopSignal, pollWake);
      continue;
    }
    const sentAtMs = nowMs();
    let isEmpty = false;
    const result = await callWhileRegistered(consumer, async (call) => {
      const waitSeconds = consumer.isPolling
        ? settings.waitSeconds
        : Math.min(settings.waitSeconds, besideStreamSeconds);
      const deliveries = await api.receive(call, { max, waitSeconds });
      isEmpty = deliveries.length === 0;
      processor.accept(deliveries);
    });
    // Without this, a server that shuts down, or `waitSeconds: 0`, would make it poll in a busy loop.
    const isTooSoon = isEmpty && nowMs() - sentAtMs < defaultBackoff.baseMs;
    failures = result === 'failed' || isTooSoon ? failures + 1 : 0;
    if (failures > 0) await sleep(backoffMs(failures), stopSignal);
  }
}

function deliveriesToPoll({ processor, requests, settings, isPolling }: Consumer): number {
  const { batchSize } = settings;
  const inFlight = processor.inFlight();
  // A running handler may wait for a reply that is queued behind a full batch.
  if (requests.count() > 0 && inFlight >= batchSize) return Math.max(0, maxUnacked - inFlight);
  return isPolling && inFlight <= batchSize / 2 ? batchSize - inFlight : 0;
}

/**
 * Makes a call once the lease is held; the call ends with that registration, or with the agent.
 * @returns `replaced` when the call must be made again under another registration.
 */
async function callWhileRegistered(
  { connection, reporter }: Consumer,
  receive: (call: AgentCall) => Promise<void>,
): Promise<'done' | 'replaced' | 'failed'> {
  const { lease, lifecycle } = connection;
  const token = await lease.whenHeld(lifecycle.stopSignal);
  if (token === undefined) return 'replaced';
  const link = linkSignals(lease.registrationSignal(), lifecycle.stopSignal);
  try {
    await receive({ token, signal: link.signal });
    return 'done';
  } catch (error) {
    if (link.signal.aborted) return 'replaced';
    if (hasCode(error, 'unauthenticated', 'not_found')) {
      dropRefusedLease(connection, token, error);
      return 'replaced';
    }
    reporter.logger.warn({ agentId: connection.agentId, err: error }, 'inbox could not be read');
    if (!hasCode(error, 'service_unavailable')) reporter.events.emit('error', asError(error));
    return 'failed';
  } finally {
    link.release();
  }
}
