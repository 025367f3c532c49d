import { recordDelivery } from '../stores/clusters/index.js';
import { leaseDeliveries, type Leased } from '../stores/communication/index.js';
import type { ApiDeps } from '../http/deps.js';

/** A delivery on its way out, as JSON text. */
export interface SerializedDelivery {
  readonly id: string;
  readonly text: string;
}

/**
 * Leases an agent's next mail, and notes that it was handed over and how long that took.
 * @param atMost deliveries that may be held at a time, when that is less than the configured bound.
 */
export async function deliverNext(
  deps: ApiDeps,
  agentId: string,
  max: number,
  atMost?: number,
): Promise<SerializedDelivery[]> {
  const { communication: rules } = deps.config();
  const maxUnacked = Math.min(rules.maxUnacked, atMost ?? rules.maxUnacked);
  const leased = await leaseDeliveries(deps.communication, agentId, max, { ...rules, maxUnacked });
  if (leased.length === 0) return [];
  for (const { clusterId, handedOverAfterMs } of leased) {
    if (handedOverAfterMs !== null) deps.latencies.observe('handed_over', clusterId, handedOverAfterMs);
  }
  // The mail is on its way: the note behind `reachability` must not keep it, nor lose it by failing.
  recordDelivery(deps.clusters, [agentId]).catch((err: unknown) =>
    deps.logger.warn({ err, agentId }, 'hand-over could not be noted'),
  );
  return leased.map((one) => ({ id: one.delivery.id, text: textOf(one) }));
}

/** The data goes out as the text it came in as: parsing a body and writing it again would be most of the work. */
function textOf({ delivery, data }: Leased): string {
  const { message, ...head } = delivery;
  return `${JSON.stringify(head).slice(0, -1)},"message":${JSON.stringify(message).slice(0, -1)},"data":${data}}}`;
}
