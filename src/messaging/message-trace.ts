import type { Hop, MessageTrace } from '../contracts/messages.js';
import { hopsOf } from '../domain/communication/hops.js';
import {
  deliveriesOf,
  deliveryIdOf,
  deadLettersOf,
  type CommunicationDb,
  type TracedDelivery,
  type StoredMessage,
} from '../stores/communication/index.js';

const maxDeliveries = 1000;

const stateOf = ({ outcome, isHeld }: TracedDelivery): MessageTrace['deliveries'][number]['state'] =>
  outcome ?? (isHeld ? 'leased' : 'waiting');

/** The trace of a message, with at most 1,000 deliveries and without the link to its operation. */
export async function traceMessage(
  db: CommunicationDb,
  message: StoredMessage,
): Promise<Omit<MessageTrace, 'temporalUrl'>> {
  const [deliveries, letters] = await Promise.all([
    deliveriesOf(db, message.no, maxDeliveries),
    deadLettersOf(db, message.no),
  ]);
  const hops: Hop[] = hopsOf(message, deliveries, letters);
  return {
    id: message.id,
    source: message.source,
    type: message.type,
    to: message.to,
    time: message.time.toISOString(),
    expiresAt: message.expiresAt.toISOString(),
    clusterId: message.clusterId,
    epoch: message.epoch,
    matched: message.matched,
    operationId: message.operationId,
    deliveries: deliveries.map((delivery) => ({
      id: deliveryIdOf(delivery),
      recipient: delivery.recipient,
      state: stateOf(delivery),
      attempts: delivery.attempts,
      via: delivery.via,
    })),
    hops,
  };
}
