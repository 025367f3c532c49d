import { recordDelivery, type ClustersDb } from '../stores/clusters/index.js';
import { leaseDeliveries, type Leased } from '../stores/communication/index.js';
import type { Logger } from '../telemetry/index.js';
import type { ServerMessaging } from './open-messaging.js';

export interface DeliveryDeps extends Pick<ServerMessaging, 'communication' | 'settings' | 'latencies'> {
  readonly clusters: ClustersDb;
  readonly logger: Logger;
}

/** A leased delivery as the JSON text that is sent to the agent. */
export interface SerializedDelivery {
  readonly id: string;
  readonly leaseToken: string;
  readonly text: string;
}

/**
 * Leases the next deliveries of an agent's inbox, and records the time from acceptance to the first delivery.
 * @param maxUnacked deliveries that the agent may hold unacked, when that is less than the configured limit.
 */
export async function deliverNext(
  { clusters, communication, settings, latencies, logger }: DeliveryDeps,
  agentId: string,
  max: number,
  maxUnacked = Number.POSITIVE_INFINITY,
): Promise<SerializedDelivery[]> {
  const rules = settings();
  const leased = await leaseDeliveries(communication, agentId, max, {
    ...rules,
    maxUnacked: Math.min(rules.maxUnacked, maxUnacked),
  });
  if (leased.length === 0) return [];
  for (const { clusterId, deliveredAfterMs } of leased) {
    if (deliveredAfterMs !== null) latencies.observe('handed_over', clusterId, deliveredAfterMs);
  }
  // Not awaited: the deliveries are leased, and the record of reachability must neither delay nor fail them.
  recordDelivery(clusters, [agentId]).catch((err: unknown) =>
    logger.warn({ err, agentId }, 'a delivery was not recorded for reachability'),
  );
  return leased.map((one) => ({ id: one.delivery.id, leaseToken: one.delivery.leaseToken, text: textOf(one) }));
}

/** The data is sent as the text in which it was stored: parsing and serializing it again would be most of the work. */
function textOf({ delivery, data }: Leased): string {
  const { message, ...head } = delivery;
  return `${JSON.stringify(head).slice(0, -1)},"message":${JSON.stringify(message).slice(0, -1)},"data":${data}}}`;
}
