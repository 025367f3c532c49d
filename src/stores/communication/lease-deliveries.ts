import type { DeliveryView } from '../../contracts/inbox.js';
import { retryOnDeadlock } from '../database.js';
import { queryRows } from '../expressions.js';
import { deliveryIdOf, type DeliveryKey } from './delivery-id.js';
import type { CommunicationDb } from './schema.js';

export interface LeaseRules {
  readonly leaseSeconds: number;
  /** Deliveries that one recipient may hold unacked. */
  readonly maxUnacked: number;
  /** Attempts before a delivery becomes a dead letter. */
  readonly tries: number;
  /** Seconds to wait after the first, second, … failed attempt; the last repeats. Each is drawn from ±20 %. */
  readonly retryDelaysSeconds: readonly number[];
}

/** A delivery without its message's data. */
export type DeliveryHead = Omit<DeliveryView, 'message'> & { readonly message: Omit<DeliveryView['message'], 'data'> };

/** A leased delivery with what its latency is measured by. */
export interface Leased {
  readonly delivery: DeliveryHead;
  /** The message's data as JSON text, as it was stored: it is passed on without being parsed. */
  readonly data: string;
  readonly clusterId: string | null;
  /** From acceptance to this delivery, ms by the database's clock; null unless it is the first attempt. */
  readonly deliveredAfterMs: number | null;
}

type Message = DeliveryHead['message'];

interface LeasedRow extends DeliveryKey, Omit<Message, 'time' | 'to' | 'datacontenttype'> {
  readonly attempt: number;
  readonly leaseToken: string;
  readonly leaseExpiresUs: number;
  readonly waitedUs: number;
  readonly timeUs: number;
  readonly address: Message['to'];
  readonly data: string;
}

/**
 * Leases the oldest open deliveries of an agent, in the order they were accepted.
 * @param max deliveries now.
 */
export async function leaseDeliveries(
  db: CommunicationDb,
  agentId: string,
  max: number,
  rules: LeaseRules,
): Promise<Leased[]> {
  const rows = await retryOnDeadlock(
    () => queryRows<LeasedRow>(db)`
    select * from lease_deliveries(agent => ${agentId}, max_count => ${max}, lease_seconds => ${rules.leaseSeconds},
      max_leased => ${rules.maxUnacked}, max_attempts => ${rules.tries},
      retry_delays => ${rules.retryDelaysSeconds}::integer[])`,
  );
  // All leases of one call end at the same time.
  const leaseExpiresAt = rows[0] ? timeOf(rows[0].leaseExpiresUs) : '';
  return rows.map((row) => ({
    delivery: deliveryOf(row, leaseExpiresAt),
    data: row.data,
    clusterId: row.clusterId,
    deliveredAfterMs: row.attempt === 1 ? row.waitedUs / 1000 : null,
  }));
}

const timeOf = (us: number): string => new Date(Math.floor(us / 1000)).toISOString();

const deliveryOf = (row: LeasedRow, leaseExpiresAt: string): DeliveryHead => ({
  id: deliveryIdOf(row),
  leaseToken: row.leaseToken,
  leaseExpiresAt,
  attempt: row.attempt,
  sequence: row.sequence,
  message: {
    id: row.id,
    source: row.source,
    type: row.type,
    time: timeOf(row.timeUs),
    datacontenttype: 'application/json',
    to: row.address,
    clusterId: row.clusterId,
    epoch: row.epoch,
    topic: row.topic,
    correlationId: row.correlationId,
    replyTo: row.replyTo,
    partitionKey: row.partitionKey,
  },
});
