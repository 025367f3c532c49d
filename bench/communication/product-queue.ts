import { tokenOf } from './agents.js';
import { batchSize, body, pause, recipients, type Queue } from './queue.js';
import { expectStatus, openHttp } from './http.js';

export const senderId = (index: number): string => `sender-${index}`;
export const recipientId = (index: number): string => `recipient-${index}`;
/** Enough that none of their tokens reaches its limit of messages a second. */
export const senders = 16;

const messageTo = (recipient: number) => ({ to: { agent: recipientId(recipient) }, type: 'bench.item', data: body });

/** Delivery ids and lease tokens. Parsing whole bodies would measure the client; the plain queue does not parse them either. */
const leases = /"id":"(dl_[^"]+)","leaseToken":"([^"]+)"/g;

export const leasesIn = (text: string): { id: string; leaseToken: string }[] =>
  [...text.matchAll(leases)].map(([, id = '', leaseToken = '']) => ({ id, leaseToken }));

const countOf = (text: string, what: string): number => text.split(what).length - 1;

/** The product from outside: HTTP with a token for each agent, whole envelopes, acks by lease token. */
export function openProductQueue(url: string): { readonly queue: Queue; close(): void } {
  const sending = openHttp(url, 64);
  const receiving = openHttp(url, 2 * recipients);
  const many = Buffer.from(
    JSON.stringify({ messages: Array.from({ length: batchSize }, (_, index) => messageTo(index % recipients)) }),
  );
  const one = Array.from({ length: recipients }, (_, recipient) =>
    Buffer.from(JSON.stringify({ messages: [messageTo(recipient)] })),
  );
  let calls = 0;
  const post = async (wanted: number, content: Buffer) => {
    const token = tokenOf(senderId((calls += 1) % senders));
    const text = expectStatus(await sending.call('POST', '/v1/messages', { token, body: content }), 202);
    const accepted = countOf(text, '"accepted":true');
    if (accepted !== wanted) throw new Error(`${accepted} of ${wanted} messages were accepted: ${text.slice(0, 500)}`);
  };
  const queue: Queue = {
    sendBatch: (count) => {
      if (count !== batchSize) throw new Error(`A batch has ${batchSize} messages, not ${count}`);
      return post(batchSize, many);
    },
    sendOne: (recipient) => post(1, one[recipient] as Buffer),
    leaseAndAck: async (recipient) => {
      // Let several deliveries accumulate, as a consumer for throughput does; latency.ts measures consumers that wait.
      await pause(10);
      const id = recipientId(recipient);
      const token = tokenOf(id);
      const path = `/v1/agents/${id}/inbox?max=100&waitSeconds=5`;
      const acks = leasesIn(expectStatus(await receiving.call('GET', path, { token }), 200));
      if (acks.length === 0) return 0;
      const acked = await receiving.call('POST', '/v1/deliveries/ack', { token, body: JSON.stringify({ acks }) });
      return countOf(expectStatus(acked, 200), '"acked":true');
    },
  };
  return {
    queue,
    close: () => {
      sending.close();
      receiving.close();
    },
  };
}
