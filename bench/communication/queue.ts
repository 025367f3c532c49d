/** Who is written to: each call's messages are dealt out among all of them, as a cluster's traffic would be. */
export const recipients = 10;
/** Messages of one call, where calls carry many. */
export const batchSize = 500;
/** JSON of 1 KiB. */
export const body = { text: 'x'.repeat(1024 - '{"text":""}'.length) };

/** One way of getting messages from senders to recipients, whole: send, take under a lease, ack. */
export interface Queue {
  /** Sends `count` messages in one call, message i to recipient i modulo the number of recipients. */
  sendBatch(count: number): Promise<void>;
  sendOne(recipient: number): Promise<void>;
  /** Takes what is there for a recipient, waiting a while if nothing is, and acks it. @returns how many were acked. */
  takeAndAck(recipient: number): Promise<number>;
}

/** Calls `run` with 0, 1, … `count - 1`, `atOnce` in flight. */
export async function inFlight(count: number, atOnce: number, run: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let index = next++; index < count; index = next++) await run(index);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
}

/**
 * Sends and consumes at the same time, until the last message is acked.
 * @param load.perCall messages of one call; 1 sends them one by one.
 * @param load.atOnce sending calls in flight.
 * @returns messages a second from the first send to the last ack.
 */
export async function endToEnd(
  queue: Queue,
  load: { readonly messages: number; readonly perCall: number; readonly atOnce: number },
): Promise<number> {
  const { messages, perCall, atOnce } = load;
  const share = messages / recipients;
  const consume = async (_: unknown, recipient: number) => {
    for (let acked = 0; acked < share;) acked += await queue.takeAndAck(recipient);
  };
  const begin = performance.now();
  await Promise.all([
    inFlight(messages / perCall, atOnce, (index) =>
      perCall === 1 ? queue.sendOne(index % recipients) : queue.sendBatch(perCall),
    ),
    ...Array.from({ length: recipients }, consume),
  ]);
  return messages / ((performance.now() - begin) / 1000);
}

/** For consumers that can only ask again. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
