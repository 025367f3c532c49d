import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, type Figure } from '../figure.js';
import { residentMb } from '../memory.js';
import type { Stores } from '../../src/stores/open.js';
import { insertAgents, numberedIds, tokenOf } from './agents.js';
import { expectStatus, openHttp } from './http.js';
import { senderId } from './product-queue.js';
import { body, pause } from './queue.js';
import { eventsOf, openStream } from './waiting-consumers.js';

const count = 1000;

/** (g) The server's memory with a thousand open inbox streams, while each inbox receives messages in rounds. */
export async function streams(stack: Stack, quick: boolean, stores: Stores): Promise<Figure[]> {
  const server = stack.processes().find(({ name }) => name.startsWith('server'))?.pid ?? 0;
  const before = residentMb(server);
  if (before === undefined) return [];
  const agents = numberedIds('streamed', count);
  await insertAgents(stores, agents);
  const receiving = openHttp(stack.urls.api ?? '', count + 64);
  const sending = openHttp(stack.urls.api ?? '', 4);
  let acked = 0;
  let onAcked = (): void => undefined;
  let refused = 0;
  const take = async (agentId: string, json: string): Promise<void> => {
    const { id, leaseToken } = JSON.parse(json) as DeliveryView;
    const call = { token: tokenOf(agentId), body: JSON.stringify({ leaseToken }) };
    for (;;) {
      const answer = await receiving.call('POST', `/v1/deliveries/${id}/ack`, call);
      // When the lease expired before its ack, the server delivers the message again.
      if (answer.status === 409) return;
      if (answer.status !== 503) {
        expectStatus(answer, 200);
        acked += 1;
        return onAcked();
      }
      refused += 1;
      await pause(1000);
    }
  };
  const opened = new Map<string, { destroy(): void }>();
  let ended = 0;
  let isOver = false;
  const keepOpen = async (agentId: string): Promise<void> => {
    const onText = eventsOf((json) => void take(agentId, json));
    const stream = await openStream(receiving, agentId, { max: 10, onText });
    opened.set(agentId, stream);
    stream.once('close', () => {
      if (isOver) return;
      ended += 1;
      void pause(1000).then(() => keepOpen(agentId));
    });
  };
  for (let from = 0; from < count; from += 50) await Promise.all(agents.slice(from, from + 50).map(keepOpen));
  const opening = residentMb(server) ?? Number.NaN;
  const rounds = quick ? 2 : 10;
  const content = JSON.stringify({
    messages: agents.map((agent) => ({ to: { agent }, type: 'bench.item', data: body })),
  });
  let most = opening;
  for (let round = 1; round <= rounds; round += 1) {
    const all = new Promise<void>((resolve) => {
      onAcked = () => {
        if (acked === round * count) resolve();
      };
    });
    expectStatus(await sending.call('POST', '/v1/messages', { token: tokenOf(senderId(0)), body: content }), 202);
    await all;
    most = Math.max(most, residentMb(server) ?? 0);
  }
  isOver = true;
  for (const stream of opened.values()) stream.destroy();
  receiving.close();
  sending.close();
  return [
    absolute('communication.streams.before', before, 'MB'),
    absolute('communication.streams.open', opening, `MB with ${count} streams`),
    absolute('communication.streams.busy', most, `MB at most, ${rounds} messages to each`, {
      text: '<= 200 MB more',
      isMet: (value) => value - before <= 200,
    }),
    absolute('communication.streams.errors', refused + ended, 'acks refused and streams ended', {
      text: '0',
      isMet: (value) => value === 0,
    }),
  ];
}
