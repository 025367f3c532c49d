import type { FailedTry, Hop } from '../../contracts/messages.js';

interface MessageRecord {
  readonly source: string;
  readonly kind: string;
  readonly time: Date;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly matched: number;
}

interface DeliveryRecord {
  readonly recipient: string;
  readonly via: string;
  readonly attempts: number;
  readonly acceptedAt: Date;
  readonly lastLeasedAt: Date | null;
  readonly outcome: 'acked' | 'dead' | 're_addressed' | null;
  readonly endedAt: Date | null;
  readonly failedAttempts: readonly FailedTry[] | null;
}

interface DeadLetterRecord {
  readonly recipient: string | null;
  readonly reason: string;
  readonly detail: string;
  readonly state: 'dead' | 'replayed' | 'discarded';
  readonly at: Date;
  readonly endedAt: Date | null;
  readonly endedBy: string | null;
}

/** The history of a message in chronological order. Events with equal timestamps keep their causal order. */
export function hopsOf(
  message: MessageRecord,
  deliveries: readonly DeliveryRecord[],
  letters: readonly DeadLetterRecord[],
): Hop[] {
  const routedBy = message.clusterId === null ? '' : `, cluster ${message.clusterId}`;
  const atEpoch = message.epoch === null ? '' : ` at epoch ${message.epoch}`;
  const hops: Hop[] = [
    hop(message.time, 'accepted', null, `from ${message.source}, durable`),
    hop(message.time, 'matched', null, `${count(message.matched, 'recipient')}${routedBy}${atEpoch}`),
    ...deliveries.flatMap(hopsOfDelivery),
    ...letters.flatMap(hopsOfDeadLetter),
  ];
  return hops
    .map((each, place) => ({ each, place }))
    .sort((a, b) => Date.parse(a.each.at) - Date.parse(b.each.at) || a.place - b.place)
    .map(({ each }) => each);
}

function hopsOfDelivery(delivery: DeliveryRecord): Hop[] {
  const { recipient, via, attempts, failedAttempts, lastLeasedAt, outcome, endedAt } = delivery;
  const failed = (failedAttempts ?? []).flatMap((each, index) => [
    hop(new Date(each.leasedAt), 'leased', recipient, `try ${index + 1}, found as ${via}`),
    hop(new Date(each.endedAt), each.how, recipient, each.reason ?? ''),
  ]);
  const present =
    lastLeasedAt && attempts > (failedAttempts?.length ?? 0)
      ? [hop(lastLeasedAt, 'leased', recipient, `try ${attempts}, found as ${via}`)]
      : [];
  const end =
    endedAt && outcome === 'acked'
      ? [
          hop(
            endedAt,
            'acked',
            recipient,
            `${endedAt.getTime() - delivery.acceptedAt.getTime()} ms after it was accepted`,
          ),
        ]
      : endedAt && outcome === 're_addressed'
        ? [hop(endedAt, 're_addressed', recipient, 'to a successor')]
        : [];
  return [...failed, ...present, ...end];
}

function hopsOfDeadLetter({ recipient, reason, detail, state, at, endedAt, endedBy }: DeadLetterRecord): Hop[] {
  const dead = hop(at, 'dead', recipient, `${reason}: ${detail}`);
  return state === 'dead' || !endedAt ? [dead] : [dead, hop(endedAt, state, recipient, `by ${endedBy ?? 'unknown'}`)];
}

const hop = (at: Date, what: Hop['what'], recipient: string | null, detail: string): Hop => ({
  at: at.toISOString(),
  what,
  recipient,
  detail,
});

const count = (amount: number, noun: string): string => `${amount} ${noun}${amount === 1 ? '' : 's'}`;
