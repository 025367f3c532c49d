import type { DeliveryView, Nack } from '../../contracts/inbox.js';
import type { AgentCall } from '../connection/agent-api.js';
import { backoffMs, sleep } from '../connection/backoff.js';
import type { AgentContext } from '../context.js';
import { asError, isTransient } from '../errors.js';

/** Acks are sent together within this time, or earlier when no handler runs that could add another. */
const flushAfterMs = 50;
const maxBatch = 1000;

/** One delivery under one lease. */
export type DeliveryClaim = Pick<DeliveryView, 'id' | 'leaseToken'>;

/** `final`: no redelivery can help. */
type Rejection = Required<Pick<Nack, 'reason' | 'final'>>;

/** The verdict that the agent sends for a delivery. `none`: it sends nothing and the lease expires. */
export type Verdict = { readonly kind: 'ack' | 'none' } | { readonly kind: 'nack'; readonly rejection: Rejection };

/** Sends verdicts to the manager. When that fails, the leases of the deliveries expire. */
export function createVerdicts(context: AgentContext) {
  const { api, lease, lifecycle, logger, events } = context;

  const sendAcks = async (acks: readonly DeliveryClaim[]): Promise<void> => {
    let usedToken: string | undefined;
    try {
      const answer = await whileRegistered(context, (call) => {
        usedToken = call.token;
        return api.request('ackDeliveries', { body: { acks } }, call);
      });
      for (const [index, { acked }] of answer?.results.entries() ?? []) {
        const claim = acks[index];
        if (acked && claim) events.emit('acked', { deliveryId: claim.id, leaseToken: claim.leaseToken });
      }
      const refused = answer?.results.filter((result) => !result.acked) ?? [];
      if (refused.length > 0) logger.warn({ refused }, 'acks were sent after their leases had ended');
    } catch (error) {
      logger.warn({ err: error }, 'acks were refused');
      if (lease.token() === usedToken) events.emit('error', asError(error));
    }
  };
  const acks = createAckBatcher(sendAcks);

  const nack = async ({ id, leaseToken }: DeliveryView, rejection: Rejection, lost: AbortSignal): Promise<void> => {
    const isOver = (): boolean => lifecycle.stopSignal.aborted || lost.aborted;
    const input = { params: { id }, body: { leaseToken, ...rejection } };
    await whileRegistered(context, (call) => api.request('nackDelivery', input, call), isOver).catch((error: unknown) =>
      logger.warn({ deliveryId: id, err: error }, 'nack was refused'),
    );
  };
  return {
    /** Resolves when the verdict was confirmed or refused, or could not be sent. Never rejects. @param lost aborted when the delivery's lease is lost. */
    send: async (delivery: DeliveryView, verdict: Verdict, lost: AbortSignal): Promise<void> => {
      if (verdict.kind === 'ack') await acks.add(delivery);
      if (verdict.kind === 'nack') await nack(delivery, verdict.rejection, lost);
    },
    flushAcks: (): void => void acks.flush(),
  };
}

/**
 * Makes an idempotent call, again after each transient failure, while the agent is registered and its grace period runs.
 * @param isOver whether another attempt is of no use.
 * @returns undefined when no attempt was answered.
 * @throws ManagerError the manager's refusal.
 */
async function whileRegistered<Answer>(
  { lease, lifecycle }: AgentContext,
  attempt: (call: AgentCall) => Promise<Answer>,
  isOver = (): boolean => false,
): Promise<Answer | undefined> {
  const { stopSignal, graceSignal } = lifecycle;
  for (let failures = 0; ;) {
    const token = lease.token();
    if (token === undefined || graceSignal.aborted) return undefined;
    try {
      return await attempt({ token, signal: graceSignal });
    } catch (error) {
      if (graceSignal.aborted) return undefined;
      if (!isTransient(error)) throw error;
      failures++;
      if (isOver()) return undefined;
      await sleep(backoffMs(failures), stopSignal.aborted ? graceSignal : stopSignal);
      if (isOver()) return undefined;
    }
  }
}

/** @param send must not reject. */
function createAckBatcher(send: (acks: readonly DeliveryClaim[]) => Promise<void>) {
  const waiting: { readonly ack: DeliveryClaim; readonly done: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();

  const sendAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, maxBatch);
      await send(batch.map(({ ack }) => ack));
      for (const { done } of batch) done();
    }
  };
  /** Sends the waiting acks now. Resolves when they were answered. */
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    // One call at a time: acks that are added during one form the next batch.
    sending = sending.then(sendAll);
    return sending;
  };
  return {
    flush,
    /** Resolves when the ack was confirmed or refused, or could not be sent. Never rejects. */
    add: ({ id, leaseToken }: DeliveryClaim): Promise<void> =>
      new Promise((done) => {
        waiting.push({ ack: { id, leaseToken }, done });
        timer ??= setTimeout(() => void flush(), flushAfterMs);
      }),
  };
}
