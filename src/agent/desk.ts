import { managerMessageTypes, type AckResults, type DeliveryView } from '../contracts/inbox.js';
import { createAcks, type Ack } from './acks.js';
import { asError, isPassing, type AgentContext } from './context.js';
import { handle, type Outcome } from './handle.js';
import { createLanes } from './lanes.js';
import { keepLease, type KeptLease } from './leases.js';
import { createMemory } from './memory.js';
import { keyOf } from './message-id.js';
import { backoffMs, pause, type Nudge } from './pause.js';

const retry = { baseMs: 250, capMs: 3000 };
const rememberedMessages = 1000;

/** A delivery on the desk, with the lease that is kept meanwhile. */
interface Held {
  readonly delivery: DeliveryView;
  readonly lease: KeptLease;
}

/** Where deliveries lie from the moment they were received until they are acked, given back or lost. */
export interface Desk {
  take(deliveries: readonly DeliveryView[]): void;
  /** Deliveries that lie here, each unacked. */
  held(): number;
  /** Resolves when the handlers at work have ended and what they handled is acked. The rest is left to its leases. */
  close(): Promise<void>;
}

/** @param changed nudged when a delivery has gone. */
export function createDesk(context: AgentContext, changed: Nudge): Desk {
  const { settings, standing, life, logger, events } = context;
  const all = new Set<Held>();
  const handled = createMemory(rememberedMessages);
  const lastWords = new Set<Promise<void>>();
  const acks = createAcks((batch) => confirm(context, batch));

  const letGo = (held: Held): void => {
    held.lease.release();
    all.delete(held);
    changed.nudge();
  };
  const lanes = createLanes<Held>(settings.concurrency, async (held) => {
    await work(held);
    // Nothing else is at work that could add an ack: waiting for company would only delay this one.
    if (lanes.size() === 1) void acks.flush();
  });

  /** While the agent's own lease is lapsed its mail waits; each delivery's lease says whether it is still its to take. */
  async function work(held: Held): Promise<void> {
    const { delivery, lease } = held;
    const token = await standing.whenHeld(life.signal);
    await lease.whenSure();
    if (token === undefined || life.signal.aborted || lease.lost.aborted) return letGo(held);
    // Its ack was lost on the way, or its lease ended before the ack came: once is enough.
    const outcome: Outcome = handled.has(keyOf(delivery.message))
      ? { how: 'ack' }
      : await handle(context, { delivery, token, lost: lease.lost });
    if (outcome.how === 'ack') handled.add(keyOf(delivery.message));
    if (lease.lost.aborted || outcome.how === 'leave') return letGo(held);
    const said = outcome.how === 'ack' ? acks.add(delivery) : giveBack(context, held, outcome);
    const last = said.then(() => {
      letGo(held);
      lastWords.delete(last);
    });
    lastWords.add(last);
  }

  return {
    take: (deliveries) => {
      if (life.signal.aborted) return;
      for (const delivery of deliveries) {
        events.emit('received', { delivery });
        const held = { delivery, lease: keepLease(context, delivery) };
        all.add(held);
        if (isUrgent(context, delivery)) {
          const done = work(held)
            .catch((error: unknown) => events.emit('error', asError(error)))
            .finally(() => {
              lastWords.delete(done);
              if (lanes.size() === 0) void acks.flush();
            });
          lastWords.add(done);
        } else {
          // A question that was asked beside the stream may be answered after what the stream brought later.
          lanes.push(laneOf(delivery), delivery.sequence, held);
        }
      }
    },
    held: () => all.size,
    close: async () => {
      await lanes.close();
      life.beginGrace();
      void acks.flush();
      while (lastWords.size > 0) {
        await Promise.all(lastWords);
        void acks.flush();
      }
      if (all.size > 0) logger.debug({ deliveries: all.size }, 'deliveries are left to their leases');
      for (const held of all) letGo(held);
    },
  };
}

/** Those of one sender, or of one key, stay in their order. */
const laneOf = ({ message: { partitionKey, source } }: DeliveryView): string =>
  partitionKey === null ? `from ${source}` : `key ${partitionKey}`;

/** What must not wait for a handler at work: the handler may be the one who waits for the reply. */
const isUrgent = ({ requests }: AgentContext, { message }: DeliveryView): boolean =>
  message.type === managerMessageTypes.invitation || requests.isReply(message);

/** Acks, again where the network failed, for as long as the agent is registered: an unconfirmed one is only handed over again. */
async function confirm(
  { api, standing, life, logger, events }: AgentContext,
  acks: readonly Ack[],
): Promise<AckResults | undefined> {
  const claims = acks.map(({ id, leaseToken }) => ({ id, leaseToken }));
  for (let failures = 0; ;) {
    const token = standing.token();
    if (token === undefined || life.grace.aborted) return undefined;
    try {
      const answer = await api.ack(token, claims, life.grace);
      for (const [place, { acked }] of answer.results.entries()) {
        const claim = claims[place];
        if (acked && claim) events.emit('acked', { deliveryId: claim.id, leaseToken: claim.leaseToken });
      }
      const refused = answer.results.filter((result) => !result.acked);
      if (refused.length > 0) logger.warn({ refused }, 'acks came too late');
      return answer;
    } catch (error) {
      if (life.grace.aborted) return undefined;
      if (!isPassing(error)) {
        logger.warn({ err: error }, 'acks were refused');
        if (standing.token() === token) events.emit('error', asError(error));
        return undefined;
      }
      failures++;
      await pause(backoffMs(failures, retry), life.signal.aborted ? life.grace : life.signal);
    }
  }
}

/** Gives a delivery back at once; where nobody can be told, its lease runs out. */
async function giveBack(
  { api, standing, life, logger }: AgentContext,
  { delivery, lease }: Held,
  { reason, final }: Extract<Outcome, { how: 'nack' }>,
): Promise<void> {
  for (let failures = 0; !life.grace.aborted && !lease.lost.aborted;) {
    const token = standing.token();
    if (token === undefined) return;
    try {
      return await api.nack(token, delivery.id, { leaseToken: delivery.leaseToken, reason, final }, life.grace);
    } catch (error) {
      if (!isPassing(error)) return logger.warn({ deliveryId: delivery.id, err: error }, 'delivery was not given back');
      failures++;
      await pause(backoffMs(failures, retry), life.signal);
      if (life.signal.aborted) return;
    }
  }
}
