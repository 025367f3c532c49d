import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hopsOf } from '../../src/messaging/message-trace.js';

const start = Date.UTC(2026, 0, 1);
const at = (seconds: number): Date => new Date(start + seconds * 1000);
const message = { source: 'a', time: at(0), clusterId: 'cl', epoch: 2, matched: 1 };
const delivery = {
  recipient: 'b',
  via: 'agent',
  attempts: 0,
  acceptedAt: at(0),
  lastLeasedAt: null,
  state: 'waiting' as const,
  endedAt: null,
  failedAttempts: null,
};
const letter = {
  recipient: 'b',
  reason: 'rejected',
  detail: 'no',
  state: 'dead',
  createdAt: at(9),
  endedAt: null,
  endedBy: null,
} as const;
const told = (...args: Parameters<typeof hopsOf>): string[] =>
  hopsOf(...args).map(({ at: when, what, recipient }) => `${(Date.parse(when) - start) / 1000} ${what} ${recipient}`);

describe('the hops of a message', () => {
  it('a message trace begins with accepted and matched', () => {
    expect(hopsOf({ ...message, matched: 3 }, [], [])).toEqual([
      { at: at(0).toISOString(), what: 'accepted', recipient: null, detail: 'from a, durable' },
      { at: at(0).toISOString(), what: 'matched', recipient: null, detail: '3 recipients, cluster cl at epoch 2' },
    ]);
    const [, matched] = hopsOf({ ...message, clusterId: null, epoch: null }, [], []);
    expect(matched?.detail).toBe('1 recipient');
  });

  it('a message trace lists every attempt, its failure and the final ack', () => {
    const failedAttempts = [
      { leasedAt: at(1).toISOString(), endedAt: at(31).toISOString(), how: 'lease_expired' as const },
      { leasedAt: at(33).toISOString(), endedAt: at(34).toISOString(), how: 'nacked' as const, reason: 'busy' },
    ];
    const acked = {
      ...delivery,
      attempts: 3,
      lastLeasedAt: at(40),
      state: 'acked' as const,
      endedAt: at(41),
      failedAttempts,
    };
    expect(told(message, [acked], [])).toEqual([
      '0 accepted null',
      '0 matched null',
      '1 leased b',
      '31 lease_expired b',
      '33 leased b',
      '34 nacked b',
      '40 leased b',
      '41 acked b',
    ]);
    const details = hopsOf(message, [acked], []).map(({ detail }) => detail);
    expect(details.slice(2)).toEqual([
      'attempt 1, addressed by its id',
      '',
      'attempt 2, addressed by its id',
      'busy',
      'attempt 3, addressed by its id',
      '41000 ms after it was accepted',
    ]);
  });

  it('a message trace shows the current lease and none after a nack', () => {
    expect(told(message, [{ ...delivery, attempts: 1, lastLeasedAt: at(5) }], []).slice(2)).toEqual(['5 leased b']);
    const failedAttempts = [{ leasedAt: at(5).toISOString(), endedAt: at(6).toISOString(), how: 'nacked' as const }];
    const waits = { ...delivery, attempts: 1, lastLeasedAt: at(5), failedAttempts };
    expect(told(message, [waits], []).slice(2)).toEqual(['5 leased b', '6 nacked b']);
  });

  it("a message trace continues at a successor and after a dead letter's replay", () => {
    const moved = { ...delivery, state: 're_addressed' as const, endedAt: at(3) };
    const heir = { ...delivery, recipient: 'c', acceptedAt: at(3), attempts: 1, lastLeasedAt: at(4) };
    expect(told(message, [moved, heir], []).slice(2)).toEqual(['3 re_addressed b', '4 leased c']);
    const replayed = { ...letter, state: 'replayed' as const, endedAt: at(12), endedBy: 'admin' };
    expect(told(message, [], [replayed]).slice(2)).toEqual(['9 dead b', '12 replayed b']);
    expect(hopsOf(message, [], [replayed]).at(-1)?.detail).toBe('by admin');
    expect(told(message, [], [{ ...letter, recipient: null }]).slice(2)).toEqual(['9 dead null']);
  });

  it("hops are sorted by time whatever the input's order, and none is lost", () => {
    const time = fc.nat(1000).map(at);
    const one = fc.record({
      recipient: fc.constantFrom('b', 'c'),
      via: fc.constant('agent'),
      attempts: fc.constant(1),
      acceptedAt: time,
      lastLeasedAt: time,
      state: fc.constantFrom('acked' as const, 're_addressed' as const),
      endedAt: time,
      failedAttempts: fc.constant(null),
    });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 8 }), fc.array(time, { maxLength: 4 }), (deliveries, deaths) => {
        const letters = deaths.map((when) => ({ ...letter, createdAt: when }));
        const hops = hopsOf(message, deliveries, letters);
        expect(hops).toHaveLength(2 + 2 * deliveries.length + letters.length);
        const times = hops.map((each) => Date.parse(each.at));
        expect(times).toEqual([...times].sort((x, y) => x - y));
        expect(hops[0]?.what).toBe('accepted');
      }),
    );
  });
});
