import { randomUUID } from 'node:crypto';
import type { DeliveryView, MessageView } from '../../../src/contracts/inbox.js';

export const eventOf = (delivery: DeliveryView): string =>
  `event: delivery\nid: ${delivery.id}\ndata: ${JSON.stringify(delivery)}\n\n`;

let sequence = 0;

/** A delivery that is leased from now on, for 30 s by default. */
export function deliveryOf(
  message: Partial<MessageView> & { readonly id: string },
  { leaseMs = 30_000, attempt = 1 }: { readonly leaseMs?: number; readonly attempt?: number } = {},
): DeliveryView {
  sequence++;
  return {
    id: `1-${sequence}`,
    leaseToken: randomUUID(),
    leaseExpiresAt: new Date(Date.now() + leaseMs).toISOString(),
    attempt,
    sequence,
    message: {
      source: 'sender',
      type: 'test.hello',
      time: new Date().toISOString(),
      datacontenttype: 'application/json',
      to: null,
      clusterId: null,
      epoch: null,
      topic: null,
      correlationId: null,
      replyTo: null,
      partitionKey: null,
      data: null,
      ...message,
    },
  };
}

/** The manager's views, with the defaults that a test does not care about. */
export const agentView = (id: string, incarnation: number) => ({
  id,
  name: null,
  host: null,
  zone: null,
  labels: {},
  capabilities: [],
  resources: {},
  held: {},
  maxClusters: 1,
  clusters: [],
  acceptance: 'auto',
  concurrency: 1,
  incarnation,
  liveness: { state: 'alive', leaseExpiresAt: new Date(Date.now() + 30_000).toISOString() },
  readiness: { state: 'ready', load: 0, inboxDepth: 0 },
  reachability: { lastHandOverAt: null },
  quarantinedUntil: null,
  registeredAt: new Date().toISOString(),
});

export const subscriptionView = ({
  pattern,
  queueGroup = null,
}: {
  readonly pattern: string;
  readonly queueGroup?: string | null;
}) => ({
  id: 'sub-1',
  agentId: 'a',
  pattern,
  queueGroup,
  suspended: false,
  createdAt: new Date().toISOString(),
});
