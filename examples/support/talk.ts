import { setTimeout as pause } from 'node:timers/promises';
import type { Agent } from 'cluster-manager/agent';
import type { MessageView } from 'cluster-manager/contracts';
import type { Journal } from './journal.js';

/** The types of the messages that have agents talk. */
export const talkTypes = { begin: 'talk.begin', end: 'talk.end', proof: 'proof.wanted' } as const;

/** The data of `talk.begin`. */
export interface TalkOrder {
  readonly topic: string;
  readonly everyMs: number;
}

export interface Talker {
  /** Does what a message of the talk asks for. It is acked when this resolves. */
  hear(message: MessageView): Promise<void>;
}

/**
 * An agent's part in the talk of its cluster: from `talk.begin` to `talk.end` it sends to a colleague, to the whole cluster and
 * to a topic in turn. It journals what it sends, what it receives and which acks were confirmed.
 * @param say tells whoever started the agent. @param proofMs how long it reads what it is asked to prove.
 */
export function createTalker(
  agent: Agent,
  journal: Journal,
  { say, proofMs }: { readonly say: (event: string, facts?: object) => void; readonly proofMs: number },
): Talker {
  const agentId = agent.id;
  let ending: AbortController | undefined;
  agent.on('received', ({ delivery: { id: deliveryId, leaseToken, attempt, message } }) => {
    const { id: messageId, source } = message;
    journal.write({ what: 'received', agentId, deliveryId, leaseToken, attempt, messageId, source });
  });
  agent.on('acked', (claim) => journal.write({ what: 'acked', agentId, ...claim, confirmed: true }));

  const talk = async (clusterId: string, { topic, everyMs }: TalkOrder, signal: AbortSignal): Promise<void> => {
    const colleagues = (agent.clusters().find(({ id }) => id === clusterId)?.members ?? [])
      .map((member) => member.agentId)
      .filter((id) => id !== agentId);
    const sends = [
      (order: number) => {
        const to = colleagues[order % colleagues.length] ?? agentId;
        return agent.send({ ...said(order), to: { agent: to }, type: 'note' });
      },
      (order: number) => agent.broadcast(clusterId, { ...said(order), type: 'news' }),
      (order: number) => agent.publish(topic, { ...said(order), type: 'headline' }),
    ];
    const said = (order: number) => ({ id: `${agentId}-${order}`, data: { order, text: 'no news is good news' } });
    let order = 0;
    while (!signal.aborted) {
      const id = `${agentId}-${order}`;
      const sent = { what: 'sent', source: agentId, id, order } as const;
      try {
        const accepted = await sends[order % sends.length]?.(order);
        journal.write({ ...sent, outcome: 'accepted', matched: accepted?.matched ?? 0 });
        order++;
      } catch (error) {
        // The library gave up, and the message may be stored or not: sent again under its id it is the same one.
        journal.write({ ...sent, outcome: 'unknown' });
        say('error', { message: String(error) });
      }
      await pause(everyMs, undefined, { signal }).catch(() => undefined);
    }
    say('talk-ended', { sent: order });
  };

  return {
    hear: async ({ type, clusterId, data }) => {
      if (type === talkTypes.begin && !ending && clusterId !== null) {
        ending = new AbortController();
        void talk(clusterId, data as TalkOrder, ending.signal);
      }
      if (type === talkTypes.end) ending?.abort();
      if (type !== talkTypes.proof) return;
      say('reading', { clusterId });
      await pause(proofMs);
    },
  };
}
