import type { DeliveryView } from '../../src/contracts/inbox.js';
import type { Stack } from '../../src/dev-stack/stack.js';
import { absolute, quantile, type Figure } from '../figure.js';
import { tokenOf } from './agents.js';
import { expectStatus, openHttp } from './http.js';
import { recipientId, senderId, senders } from './product-queue.js';
import { body, recipients } from './queue.js';
import { eventsOf, openStream } from './waiting-consumers.js';

const perSecond = 50;

/**
 * (e) Single messages at a constant rate to consumers with an open stream: from acceptance, the message's time, until the
 * consumer receives it, and from the send until its ack is confirmed. All processes share this machine's clock.
 */
export async function latency(stack: Stack, quick: boolean): Promise<Figure[]> {
  const sending = openHttp(stack.urls.api ?? '', 64);
  const receiving = openHttp(stack.urls.api ?? '', 4 * recipients);
  const messages = perSecond * (quick ? 8 : 40);
  const sentAt = new Map<string, number>();
  const handedOverMs: number[] = [];
  const ackedMs: number[] = [];
  let onAll: () => void;
  const all = new Promise<void>((resolve) => (onAll = resolve));

  const take = async (agentId: string, json: string): Promise<void> => {
    const nowMs = performance.timeOrigin + performance.now();
    const { id, leaseToken, message } = JSON.parse(json) as DeliveryView;
    handedOverMs.push(nowMs - Date.parse(message.time));
    const acked = await receiving.call('POST', `/v1/deliveries/${id}/ack`, {
      token: tokenOf(agentId),
      body: JSON.stringify({ leaseToken }),
    });
    expectStatus(acked, 200);
    ackedMs.push(performance.now() - (sentAt.get(message.id) ?? Number.NaN));
    if (ackedMs.length === messages) onAll();
  };
  const streams = await Promise.all(
    Array.from({ length: recipients }, (_, index) => recipientId(index)).map((agentId) =>
      openStream(receiving, agentId, { max: 100, onText: eventsOf((json) => void take(agentId, json)) }),
    ),
  );
  const sends: Promise<string>[] = [];
  const begin = performance.now();
  for (let index = 0; index < messages; index += 1) {
    const id = `latency-${index}`;
    const to = { agent: recipientId(index % recipients) };
    const content = JSON.stringify({ messages: [{ id, to, type: 'bench.item', data: body }] });
    sentAt.set(id, performance.now());
    const token = tokenOf(senderId(index % senders));
    sends.push(
      sending.call('POST', '/v1/messages', { token, body: content }).then((answer) => expectStatus(answer, 202)),
    );
    const due = begin + ((index + 1) * 1000) / perSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
  }
  await Promise.all([all, ...sends]);
  for (const stream of streams) stream.destroy();
  sending.close();
  receiving.close();
  return [
    absolute('communication.handedOver.p50', quantile(handedOverMs, 0.5), 'ms', {
      text: '<= 8 ms',
      isMet: (value) => value <= 8,
    }),
    absolute('communication.handedOver.p99', quantile(handedOverMs, 0.99), 'ms', {
      text: '<= 30 ms',
      isMet: (value) => value <= 30,
    }),
    absolute('communication.sentToAcked.p50', quantile(ackedMs, 0.5), 'ms'),
    absolute('communication.sentToAcked.p99', quantile(ackedMs, 0.99), 'ms'),
  ];
}
