import {
  ackDeliveries,
  countReceipts,
  createTopic,
  deliverRetained,
  nackDelivery,
  listDeadLetters,
  moveDeliveries,
  openInbox,
  openReceipt,
  parseDeliveryId,
  replayDeadLetter,
  settleReceipt,
  subscribe,
  type CommunicationDb,
  type DeliveryKey,
  type Leased,
  type RoutedMessage,
} from '../../src/stores/communication/index.js';
import type { JournalEntry } from '../support/journal.js';
import { accept, claimOf, message, route, rules, take } from '../stores/communication/builders.js';

const at = '2026-01-01T00:00:00.000Z';

const keyOf = ({ delivery }: Leased): DeliveryKey => {
  const key = parseDeliveryId(delivery.id);
  if (!key) throw new Error(`${delivery.id} is not a delivery id`);
  return key;
};

/**
 * Creates deliveries in every state by the manager's own functions. @returns the journals of the clients that took part.
 * a, b and c are members of cl at epoch 2; d was one at epoch 1.
 */
export async function createEveryKindOfDelivery(db: CommunicationDb): Promise<JournalEntry[]> {
  const journal: JournalEntry[] = [];
  for (const id of ['a', 'b', 'c', 'd']) await openInbox(db, id, id === 'a' ? ['work'] : []);
  await route(db, 'cl', 1, ['a', 'b', 'c', 'd']);
  const toCluster = { kind: 'cluster', to: { cluster: 'cl' }, clusterId: 'cl', source: 'a' } as const;
  const role = { kind: 'role', to: { role: 'r', cluster: 'cl' }, clusterId: 'cl', epoch: 1, source: 'a' } as const;
  const sent = async (messages: readonly RoutedMessage[], epochs?: ReadonlyMap<string, number>): Promise<void> => {
    await accept(db, messages, epochs ? { epochs } : {});
    journal.push(
      ...messages.map(({ id, source }, index): JournalEntry => {
        return { what: 'sent', at, source, id, outcome: 'accepted', ...(source === 'orderly' ? { order: index } : {}) };
      }),
    );
  };

  await sent(
    [
      message({ ...toCluster, id: 'all', epoch: 1, recipients: ['b', 'c', 'd'] }),
      message({ ...role, id: 'moved', recipients: [{ agentId: 'd', via: 'role:r' }] }),
      message({ id: 'nobody', kind: 'cluster', deadLetter: { reason: 'unknown_cluster', detail: 'There is none' } }),
      message({ id: 'stranger', recipients: ['stranger'] }),
    ],
    new Map([['cl', 1]]),
  );
  await openReceipt(db, { id: 'all', source: 'a' }, { require: 'quorum', deadlineSeconds: 30 });

  const held = async (agentId: string, max: number): Promise<Leased[]> => {
    const leased = await take(db, agentId, max);
    journal.push(
      ...leased.map(({ delivery }): JournalEntry => ({
        what: 'received',
        at,
        agentId,
        deliveryId: delivery.id,
        leaseToken: delivery.leaseToken,
        attempt: delivery.attempt,
        messageId: delivery.message.id,
        source: delivery.message.source,
      })),
    );
    return leased;
  };
  const acked = async (agentId: string, leased: readonly Leased[]): Promise<void> => {
    await ackDeliveries(
      db,
      leased.map((one) => claimOf(agentId, one)),
    );
    journal.push(
      ...leased.map(({ delivery: { id: deliveryId, leaseToken } }): JournalEntry => ({
        what: 'acked',
        at,
        agentId,
        deliveryId,
        leaseToken,
        confirmed: true,
      })),
    );
  };

  await acked('b', await held('b', 10));
  await acked('c', await held('c', 10));
  const [row] = await countReceipts(db, [{ id: 'all' }]);
  if (row) await settleReceipt(db, row, 'met');

  // d is removed from the cluster, and its messages for the role are re-addressed to b.
  await route(db, 'cl', 2, ['a', 'b', 'c']);
  const ofD = await held('d', 10);
  await moveDeliveries(
    db,
    ofD.slice(1).map((one) => ({ ...keyOf(one), to: 'b' })),
  );

  // The recipient rejects one message, which is replayed; a second stays a dead letter; a third waits for a retry.
  for (const id of ['replayed', 'dead', 'waiting']) {
    await accept(db, [message({ id, recipients: ['c'] })]);
    const [one] = await held('c', 1);
    if (one)
      await nackDelivery(db, claimOf('c', one), { delaySeconds: 3600, reason: 'no', final: id !== 'waiting' }, rules);
  }
  const letter = (await listDeadLetters(db, { limit: 10 })).find(({ messageId }) => messageId === 'replayed');
  if (letter) await replayDeadLetter(db, letter, [{ agentId: 'c', via: 'agent' }], { by: 'admin', ttlSeconds: 3600 });

  // Three messages of one sender in order: the first is leased, the others wait.
  await sent([1, 2, 3].map((n) => message({ id: `in-order-${n}`, source: 'orderly', recipients: ['a'] })));
  await held('a', 1);

  const topicSettings = { publish: null, subscribe: null, maxSubscribers: 10 };
  await createTopic(db, { name: 'kept', retention: { keep: 'last' }, ...topicSettings }, 'a');
  await createTopic(db, { name: 'loose', retention: { keep: 'none' }, ...topicSettings }, 'a');
  await accept(db, [
    message({ id: 'news', kind: 'topic', to: { topic: 'kept' }, topic: 'kept', retain: true, source: 'b' }),
  ]);
  await subscribe(db, 'a', { pattern: 'kept', queueGroup: null });
  await deliverRetained(db, 'a', ['kept']);
  journal.push({ what: 'sent', at, source: 'sender', id: 'refused', outcome: 'refused' });
  return journal;
}
