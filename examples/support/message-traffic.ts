import { setTimeout as wait } from 'node:timers/promises';
import type { Agent } from 'cluster-manager/agent';
import type { MessageView } from 'cluster-manager/contracts';
import type { Journal } from './journal.js';

/** Message types that control the traffic of a cluster, and the broadcast that every member must ack. */
export const trafficTypes = { start: 'traffic.start', stop: 'traffic.stop', notice: 'notice' } as const;

/** The data of `traffic.start`. */
export interface TrafficOrder {
  readonly topic: string;
  readonly everyMs: number;
}

export interface TrafficOptions {
  readonly print: (event: string, fields?: object) => void;
  /** How long the agent takes to handle a notice. */
  readonly noticeMs: number;
}

/**
 * An agent's part in the message traffic of its cluster. From `traffic.start` to `traffic.stop` it sends to another member,
 * to the whole cluster and to a topic in turn. It journals what it sent, what it received and which acks were confirmed.
 * @returns the handler of the agent's messages.
 */
export function createTrafficHandler(
  agent: Agent,
  journal: Journal,
  { print, noticeMs }: TrafficOptions,
): (message: MessageView) => Promise<void> {
  const agentId = agent.id;
  let stopping: AbortController | undefined;
  agent.on('received', ({ delivery: { id: deliveryId, leaseToken, attempt, message } }) => {
    const { id: messageId, source } = message;
    journal.write({ what: 'received', agentId, deliveryId, leaseToken, attempt, messageId, source });
  });
  agent.on('acked', (claim) => journal.write({ what: 'acked', agentId, ...claim, confirmed: true }));

  return async ({ type, clusterId, data }) => {
    if (type === trafficTypes.start && !stopping && clusterId !== null) {
      stopping = new AbortController();
      void sendUntilStopped(agent, journal, clusterId, data as TrafficOrder, stopping.signal, print);
    }
    if (type === trafficTypes.stop) stopping?.abort();
    if (type !== trafficTypes.notice) return;
    print('reading', { clusterId });
    await wait(noticeMs);
  };
}

async function sendUntilStopped(
  agent: Agent,
  journal: Journal,
  clusterId: string,
  { topic, everyMs }: TrafficOrder,
  signal: AbortSignal,
  print: TrafficOptions['print'],
): Promise<void> {
  const members = agent.clusters().find(({ id }) => id === clusterId)?.members ?? [];
  const others = members.map((member) => member.agentId).filter((id) => id !== agent.id);
  let order = 0;
  while (!signal.aborted) {
    const id = `${agent.id}-${order}`;
    const content = { id, data: { order, text: 'Printed on both sides' } };
    const sends = [
      () => agent.send({ ...content, to: { agent: others[order % others.length] ?? agent.id }, type: 'note' }),
      () => agent.broadcast(clusterId, { ...content, type: 'news' }),
      () => agent.publish(topic, { ...content, type: 'headline' }),
    ];
    const sent = { what: 'sent', source: agent.id, id, order } as const;
    try {
      const accepted = await sends[order % sends.length]?.();
      journal.write({ ...sent, outcome: 'accepted', matched: accepted?.matched ?? 0 });
      order++;
    } catch (error) {
      // The message may be stored or not. The next attempt has the same id, so it is the same message.
      journal.write({ ...sent, outcome: 'unknown' });
      print('error', { message: String(error) });
    }
    await wait(everyMs, undefined, { signal }).catch(() => undefined);
  }
  print('traffic-stopped', { sent: order });
}
