import { isoDates } from '../contracts/view.js';
import type { Hop, MessageTrace } from '../contracts/messages.js';
import { partsOfVia } from '../domain/communication/routing.js';
import {
  deliveriesOf,
  deliveryIdOf,
  deadLettersOf,
  type CommunicationDb,
  type TracedDelivery,
  type StoredMessage,
} from '../stores/communication/index.js';

const maxDeliveries = 1000;

/** The trace of a message, with at most 1,000 deliveries and without the link to its operation. */
export async function traceMessage(
  db: CommunicationDb,
  message: StoredMessage,
): Promise<Omit<MessageTrace, 'temporalUrl'>> {
  const { no, ...about } = message;
  const [deliveries, letters] = await Promise.all([deliveriesOf(db, no, maxDeliveries), deadLettersOf(db, no)]);
  return {
    ...isoDates(about),
    deliveries: deliveries.map(({ inboxNo, sequence, recipient, state, attempts, via }) => ({
      id: deliveryIdOf({ inboxNo, sequence }),
      recipient,
      state,
      attempts,
      via,
    })),
    hops: hopsOf(message, deliveries, letters),
  };
}

type DeadLetter = Awaited<ReturnType<typeof deadLettersOf>>[number];

/** The history of a message in chronological order. Events with equal timestamps keep their causal order. */
export function hopsOf(
  message: Pick<StoredMessage, 'source' | 'time' | 'matched' | 'clusterId' | 'epoch'>,
  deliveries: readonly Omit<TracedDelivery, 'inboxNo' | 'sequence'>[],
  letters: readonly Omit<DeadLetter, 'no' | 'messageNo' | 'inboxNo' | 'sequence' | 'attempts'>[],
): Hop[] {
  const { source, time, matched, clusterId, epoch } = message;
  const routedBy = clusterId === null ? '' : `, cluster ${clusterId}`;
  const atEpoch = epoch === null ? '' : ` at epoch ${epoch}`;
  return [
    hop(time, 'accepted', null, `from ${source}, durable`),
    hop(time, 'matched', null, `${matched} recipient${matched === 1 ? '' : 's'}${routedBy}${atEpoch}`),
    ...deliveries.flatMap(hopsOfDelivery),
    ...letters.flatMap(hopsOfDeadLetter),
  ].sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

function hopsOfDelivery(delivery: Parameters<typeof hopsOf>[1][number]): Hop[] {
  const { recipient, via, attempts, acceptedAt, lastLeasedAt, state, endedAt } = delivery;
  const failedAttempts = delivery.failedAttempts ?? [];
  const leased = (at: Date, attempt: number): Hop =>
    hop(at, 'leased', recipient, `attempt ${attempt}, ${reasonOf(via)}`);
  const hops = failedAttempts.flatMap(({ leasedAt, endedAt: failedAt, how, reason }, index) => [
    leased(new Date(leasedAt), index + 1),
    hop(new Date(failedAt), how, recipient, reason ?? ''),
  ]);
  if (lastLeasedAt && attempts > failedAttempts.length) hops.push(leased(lastLeasedAt, attempts));
  if (endedAt && state === 'acked') {
    const tookMs = endedAt.getTime() - acceptedAt.getTime();
    hops.push(hop(endedAt, 'acked', recipient, `${tookMs} ms after it was accepted`));
  }
  if (endedAt && state === 're_addressed') hops.push(hop(endedAt, 're_addressed', recipient, 'to a successor'));
  return hops;
}

function hopsOfDeadLetter(letter: Parameters<typeof hopsOf>[2][number]): Hop[] {
  const { recipient, reason, detail, state, createdAt, endedAt, endedBy } = letter;
  const dead = hop(createdAt, 'dead', recipient, `${reason}: ${detail}`);
  return state === 'dead' || !endedAt ? [dead] : [dead, hop(endedAt, state, recipient, `by ${endedBy ?? 'unknown'}`)];
}

const reasons: Readonly<Record<string, string>> = {
  agent: 'addressed by its id',
  manager: 'addressed by the manager',
  member: 'as a member of the cluster',
  subscriber: 'as a subscriber of the topic',
  retained: 'retained by the topic',
  replay: 'replayed from a dead letter',
  role: 'chosen by the role',
  capability: 'chosen by the capability',
  group: 'chosen from the queue group',
};

/** Why the delivery has this recipient. */
function reasonOf(via: string): string {
  const [how, name] = partsOfVia(via);
  return `${reasons[how] ?? how}${name === '' ? '' : ` "${name}"`}`;
}

const hop = (at: Date, what: Hop['what'], recipient: string | null, detail: string): Hop => ({
  at: at.toISOString(),
  what,
  recipient,
  detail,
});
