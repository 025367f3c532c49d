import type { DeliveryClaim } from '../connection/agent-api.js';

/** Acks are sent together within this time, or earlier when no handler runs that could add another. */
const flushAfterMs = 50;
const maxBatch = 1000;

/** @param send must not reject. */
export function createAckBatcher(send: (acks: readonly DeliveryClaim[]) => Promise<void>) {
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
