/** Number of recipients. The messages of each call are distributed among all of them, like the traffic of a cluster. */
export const recipients = 10;
/** Messages in one batch. */
export const batchSize = 500;
/** JSON of 1 KiB. */
export const body = { text: 'x'.repeat(1024 - '{"text":""}'.length) };

/** A queue between senders and recipients: send, lease, ack. */
export interface Queue {
  /** Sends `count` messages in one call, message i to recipient i modulo the number of recipients. */
  sendBatch(count: number): Promise<void>;
  sendOne(recipient: number): Promise<void>;
  /** Leases a recipient's messages, waiting briefly when there are none, and acks them. @returns the number acked. */
  leaseAndAck(recipient: number): Promise<number>;
}

/** Calls `run` with 0, 1, … `count - 1`, `concurrency` of them in flight. */
export async function runConcurrently(
  count: number,
  concurrency: number,
  run: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const runNext = async () => {
    for (let index = next++; index < count; index = next++) await run(index);
  };
  await Promise.all(Array.from({ length: concurrency }, runNext));
}

/**
 * Sends and consumes concurrently until the last message is acked.
 * @param load.perCall messages in one call; 1 sends them one by one.
 * @param load.concurrency sending calls in flight.
 * @returns messages per second from the first send to the last ack.
 */
export async function endToEnd(
  queue: Queue,
  load: { readonly messages: number; readonly perCall: number; readonly concurrency: number },
): Promise<number> {
  const { messages, perCall, concurrency } = load;
  const share = messages / recipients;
  const consume = async (_: unknown, recipient: number) => {
    for (let acked = 0; acked < share;) acked += await queue.leaseAndAck(recipient);
  };
  const begin = performance.now();
  await Promise.all([
    runConcurrently(messages / perCall, concurrency, (index) =>
      perCall === 1 ? queue.sendOne(index % recipients) : queue.sendBatch(perCall),
    ),
    ...Array.from({ length: recipients }, consume),
  ]);
  return messages / ((performance.now() - begin) / 1000);
}

/** The wait between two polls of a consumer. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
