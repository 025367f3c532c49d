import { readFileSync } from 'node:fs';
import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { Stack } from '../../src/local/stack.js';
import { absolute, type Figure } from '../figure.js';
import { enrol, named, tokenOf, type Stores } from './agents.js';
import { expectStatus, openHttp } from './http.js';
import { senderId } from './our-queue.js';
import { body } from './queue.js';
import { eventsOf, openStream } from './waiting-consumers.js';

const count = 1000;

/** Resident memory in MB, or undefined where /proc is not there. */
function residentMb(pid: number): number | undefined {
  try {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

/** (g) the server's memory with a thousand inboxes streamed at once, while each is given mail round after round. */
export async function streams(stack: Stack, quick: boolean, stores: Stores): Promise<Figure[]> {
  const server = stack.processes().find(({ name }) => name.startsWith('server'))?.pid ?? 0;
  const before = residentMb(server);
  if (before === undefined) return [];
  const agents = named('streamed', count);
  await enrol(stores, agents);
  const receiving = openHttp(stack.urls.api ?? '', count + 64);
  const sending = openHttp(stack.urls.api ?? '', 4);
  let acked = 0;
  let onAcked = (): void => undefined;
  const take = async (agentId: string, json: string): Promise<void> => {
    const { id, leaseToken } = JSON.parse(json) as DeliveryView;
    const answer = await receiving.call('POST', `/v1/deliveries/${id}/ack`, {
      token: tokenOf(agentId),
      body: JSON.stringify({ leaseToken }),
    });
    // On a machine so busy that the lease ran out before its ack, the delivery comes again.
    if (answer.status === 409) return;
    expectStatus(answer, 200);
    acked += 1;
    onAcked();
  };
  const opened: { destroy(): void }[] = [];
  for (let from = 0; from < count; from += 50) {
    const some = agents.slice(from, from + 50);
    opened.push(
      ...(await Promise.all(
        some.map((agentId) =>
          openStream(receiving, agentId, { max: 10, onText: eventsOf((json) => void take(agentId, json)) }),
        ),
      )),
    );
  }
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
  for (const stream of opened) stream.destroy();
  receiving.close();
  sending.close();
  return [
    absolute('communication.streams.before', before, 'MB'),
    absolute('communication.streams.open', opening, `MB with ${count} streams`),
    absolute('communication.streams.busy', most, `MB at most, ${rounds} messages to each`, {
      text: '<= 200 MB more',
      isMet: (value) => value - before <= 200,
    }),
  ];
}
