import type { AckResults } from '../contracts/inbox.js';

export interface Ack {
  readonly id: string;
  readonly leaseToken: string;
}

export interface Acks {
  /** Resolves when the ack was confirmed or refused, or nobody could be told. Never rejects. */
  add(ack: Ack): Promise<void>;
  /** Sends what waits now. Resolves when it was answered. */
  flush(): Promise<void>;
}

/** Acks go together: within this time, or earlier when nothing else is at work that could add to them. */
const flushAfterMs = 50;
const atMost = 1000;

/** @param send never rejects; undefined when nobody could be told. */
export function createAcks(send: (acks: readonly Ack[]) => Promise<AckResults | undefined>): Acks {
  const waiting: { readonly ack: Ack; readonly done: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;
  let sending: Promise<void> = Promise.resolve();

  const sendAll = async (): Promise<void> => {
    while (waiting.length > 0) {
      const batch = waiting.splice(0, atMost);
      await send(batch.map(({ ack }) => ack));
      for (const { done } of batch) done();
    }
  };
  const flush = (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    // One after the other: what comes while one is on its way makes up the next.
    sending = sending.then(sendAll);
    return sending;
  };
  return {
    add: (ack) =>
      new Promise((done) => {
        waiting.push({ ack, done });
        timer ??= setTimeout(() => void flush(), flushAfterMs);
      }),
    flush,
  };
}
