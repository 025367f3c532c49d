import type { DeliveryView } from '../../contracts/inbox.js';
import type { AgentContext } from '../context.js';
import { asError } from '../errors.js';
import { messageKeyOf } from '../messaging/message-ids.js';
import { createRecentKeys, type RecentKeys } from '../recent-keys.js';
import { keepDeliveryLease, type DeliveryLease } from './delivery-lease.js';
import type { Dispatcher } from './dispatch.js';
import { createKeyedQueue } from './keyed-queue.js';
import { createVerdicts, type Verdict } from './verdicts.js';

const rememberedMessages = 1000;

interface InFlight {
  readonly delivery: DeliveryView;
  readonly deliveryLease: DeliveryLease;
}

export type DeliveryProcessor = ReturnType<typeof createDeliveryProcessor>;

/** Holds deliveries from their receipt until they are acknowledged, negatively acknowledged or lost. */
export function createDeliveryProcessor(context: AgentContext, dispatcher: Dispatcher) {
  const { settings, lifecycle, pollWake, logger, events } = context;
  const inFlight = new Set<InFlight>();
  const handled = createRecentKeys(rememberedMessages);
  const verdicts = createVerdicts(context);
  /** Verdicts under way and deliveries beside the queue: `close` waits for them. */
  const pending = new Set<Promise<void>>();

  const remove = (entry: InFlight): void => {
    entry.deliveryLease.stopExtending();
    inFlight.delete(entry);
    pollWake.wake();
  };
  const queue = createKeyedQueue<InFlight>(settings.registration.concurrency, async (entry) => {
    await process(entry);
    // Only this item is left, so no handler can add an ack to the batch.
    if (queue.size() === 1) verdicts.flushAcks();
  });

  const process = async (entry: InFlight): Promise<void> => {
    const verdict = await verdictOn(context, dispatcher, entry, handled);
    const sent = verdicts.send(entry.delivery, verdict, entry.deliveryLease.lost).then(() => remove(entry));
    addUntilSettled(pending, sent);
  };
  const processBesideQueue = async (entry: InFlight): Promise<void> => {
    await process(entry).catch((error: unknown) => events.emit('error', asError(error)));
    if (queue.size() === 0) verdicts.flushAcks();
  };

  return {
    accept: (deliveries: readonly DeliveryView[]): void => {
      if (lifecycle.stopSignal.aborted) return;
      for (const delivery of deliveries) {
        events.emit('received', { delivery });
        const entry = { delivery, deliveryLease: keepDeliveryLease(context, delivery) };
        inFlight.add(entry);
        if (dispatcher.skipsQueue(delivery.message)) addUntilSettled(pending, processBesideQueue(entry));
        // By sequence: the answer to a poll beside the stream may arrive after later deliveries from the stream.
        else queue.push(orderKeyOf(delivery), delivery.sequence, entry);
      }
    },
    /** How many deliveries it holds. */
    inFlight: (): number => inFlight.size,
    /**
     * Resolves when the running handlers have ended and their deliveries are acknowledged. The leases of the other deliveries
     * expire.
     */
    close: async (): Promise<void> => {
      await queue.close();
      lifecycle.beginGrace();
      verdicts.flushAcks();
      while (pending.size > 0) {
        await Promise.all(pending);
        verdicts.flushAcks();
      }
      if (inFlight.size > 0) logger.debug({ deliveries: inFlight.size }, 'deliveries are left to their leases');
      for (const entry of inFlight) remove(entry);
    },
  };
}

function addUntilSettled(pending: Set<Promise<void>>, work: Promise<void>): void {
  const tracked = work.finally(() => pending.delete(tracked));
  pending.add(tracked);
}

/** Deliveries with the same key are handled in order. */
const orderKeyOf = ({ message: { partitionKey, source } }: DeliveryView): string =>
  partitionKey === null ? `from ${source}` : `key ${partitionKey}`;

/** Dispatches a delivery as soon as the agent is registered and the delivery's own lease is verified. */
async function verdictOn(
  context: AgentContext,
  dispatcher: Dispatcher,
  { delivery, deliveryLease }: InFlight,
  handled: RecentKeys,
): Promise<Verdict> {
  const { stopSignal } = context.lifecycle;
  const { lost } = deliveryLease;
  const token = await context.lease.whenHeld(stopSignal);
  await deliveryLease.whenVerified();
  if (token === undefined || stopSignal.aborted || lost.aborted) return { kind: 'none' };
  const key = messageKeyOf(delivery.message);
  // Redelivered because its ack was lost or came after its lease had expired: acknowledged without a second handling.
  if (handled.has(key)) return { kind: 'ack' };
  const verdict = await dispatcher.dispatch(delivery, token, lost);
  if (verdict.kind === 'ack') handled.add(key);
  return lost.aborted ? { kind: 'none' } : verdict;
}
