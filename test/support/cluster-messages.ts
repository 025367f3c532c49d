import { newMessage } from '../../src/contracts/messages.js';
import { acceptMessages } from '../../src/messaging/accept-messages.js';
import { ackDeliveries, leaseDeliveries } from '../../src/stores/communication/index.js';
import { claimOf } from '../stores/communication/builders.js';
import type { TestDatabases } from './database.js';
import { communicationSettings, messagingOf } from './messaging.js';

type Mailboxes = Pick<TestDatabases, 'communication'>;

/** Sends each member of the cluster a message, whose delivery a drain waits for. */
export async function sendToMembers({ communication }: Mailboxes, clusterId: string): Promise<void> {
  await acceptMessages(messagingOf(communication), [
    {
      sender: { source: '/orchestrator/test', agentId: null },
      message: newMessage.parse({ id: `work-${clusterId}`, to: { cluster: clusterId }, type: 'task', data: null }),
    },
  ]);
}

/** Acks all deliveries in the agents' inboxes. */
export async function ackInboxes({ communication }: Mailboxes, agentIds: readonly string[]): Promise<void> {
  for (const agentId of agentIds) {
    const leased = await leaseDeliveries(communication, agentId, 100, communicationSettings);
    await ackDeliveries(
      communication,
      leased.map((one) => claimOf(agentId, one)),
    );
  }
}
