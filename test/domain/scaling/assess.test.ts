import { describe, expect, test } from 'vitest';
import { assess } from '../../../src/domain/scaling/assess.js';
import { defaultScalingRules } from '../../../src/domain/scaling/rules.js';
import type { Change, ClusterFacts, Decision } from '../../../src/domain/scaling/types.js';
import { facts, member, membersAt, nowMs, reading, rule, seconds } from './builders.js';

const decide = (over: Partial<ClusterFacts>): Decision => assess(facts(over));
const at = (count: number, ratio: number | null, over: Partial<ClusterFacts> = {}) =>
  decide({ members: membersAt(count, ratio), ...over });
const vetoes = (decision: Decision) => decision.vetoes.map(({ by }) => by);
const scaled = (direction: 'out' | 'in', members: number, secondsAgo: number, cause: Change['cause'] = 'scaling') => ({
  atMs: nowMs - seconds(secondsAgo),
  direction,
  members,
  cause,
});

describe('growing by usage: ceil(n u / 0.65)', () => {
  test.each([
    // n, u, desired, what the formula says
    [5, 0.81, 7, 7], // 6.23
    [3, 0.9, 5, 5], // 4.15
    [4, 0.975, 6, 6], // exactly 6, which must not become 7
    [3, 2, 6, 10], // 9.23, at most doubled
    [8, 0.9, 10, 12], // 11.08, at most 10
    [5, 1.1, 9, 9], // 8.46, the budget is 4 an hour
    [10, 0.9, 10, 14],
  ])('%i members at %d become %i', (n, u, desired, formula) => {
    const decision = at(n, u);
    expect(decision.desired).toBe(desired);
    expect(decision.formula.out.desired).toBe(formula);
    expect(decision.direction).toBe(desired > n ? 'out' : 'none');
  });

  test.each([
    [0.8, 'none'], // not above
    [0.8001, 'out'],
  ])('at %d usage the direction is %s', (u, direction) => {
    expect(at(5, u).direction).toBe(direction);
  });

  test('one sample above the high mark does not grow a cluster', () => {
    const members = membersAt(5, 0.9).map((one) => ({ ...one, usage: { slots: reading(0.9, 0.7) } }));
    const decision = decide({ members });
    expect(decision).toMatchObject({ direction: 'none', wished: 7, desired: 5 });
    expect(decision.vetoes).toEqual([{ by: 'not_above_high', usage: 0.9, before: 0.7 }]);
    const first = membersAt(5, 0.9).map((one) => ({ ...one, usage: { slots: reading(0.9, null) } }));
    expect(decide({ members: first }).direction).toBe('none');
  });

  test('the most used resource decides', () => {
    const usage = { slots: reading(0.2), tokensPerMinute: reading(0.85) };
    const members = membersAt(5, null).map((one) => ({ ...one, offers: { slots: 4, tokensPerMinute: 10 }, usage }));
    const decision = decide({ members });
    expect(decision.usage).toMatchObject({ out: 0.85, outResource: 'tokensPerMinute' });
    expect(decision.desired).toBe(7); // 6.54
  });

  test('usage is weighted by capacity', () => {
    const members = [
      member('large', 0, { offers: { slots: 30 } }),
      member('a', 1, { offers: { slots: 5 } }),
      member('b', 1, { offers: { slots: 5 } }),
    ];
    expect(decide({ members }).usage.out).toBe(0.25);
  });

  // The documented examples of the Horizontal Pod Autoscaler, ceil(current x metric / target), where our rule is the same.
  test.each([
    ['200m used where 100m is the target: doubled', 2, 2, 1, 4],
    ['within a tenth of the target: left alone', 5, 0.71, 0.65, 5],
    ['just beyond a tenth', 5, 0.72, 0.65, 6],
    ['half used: halved, as far as the recommendation goes', 8, 0.325, 0.65, 4],
  ])('as an HPA: %s', (_name, n, u, target, expected) => {
    const decision = assess(
      facts({ members: membersAt(n, u), rule: rule({ size: { min: 1, desired: 5, max: 100 } }) }),
      { ...defaultScalingRules, targetUsage: target },
    );
    expect(decision.formula.out.desired).toBe(expected);
  });

  test('of several metrics the one that needs most members decides', () => {
    const members = membersAt(4, 0.3);
    const work = { inFlight: 20, backlog: 0, tasksPerSlotSecond: null, slotsPerMember: 4 };
    expect(decide({ members, work }).formula.out).toMatchObject({
      usage: { members: 2 },
      work: { members: 5 },
      desired: 5,
    });
  });
});

describe('growing while a member is new', () => {
  const after = (u: number, before: number, ageSeconds: number, over: Partial<ClusterFacts> = {}): Decision => {
    const usage = { slots: reading(u, before) };
    const joinedAtMs = nowMs - seconds(ageSeconds);
    const members = membersAt(5, null).map(({ id }, index) =>
      member(id, null, index === 0 ? { usage, joinedAtMs } : { usage }),
    );
    return decide({ members, ...over });
  };

  test.each([
    ['waits while usage falls: the average remembers the smaller cluster', 0.85, 0.9, 239, 5],
    ['does not wait for usage that stays', 0.85, 0.85, 239, 7],
    ['does not wait for usage that rises', 0.9, 0.85, 60, 7],
    ['is over after four half-lives', 0.85, 0.9, 240, 7],
  ])('%s', (_name, u, before, ageSeconds, desired) => {
    expect(after(u, before, ageSeconds).desired).toBe(desired);
  });

  test('growth while a member is new is vetoed with the end of the veto', () => {
    expect(after(0.85, 0.9, 60).vetoes).toEqual([
      { by: 'settling', usage: 0.85, before: 0.9, untilMs: nowMs + seconds(180) },
    ]);
  });

  test('growth while a member is new goes as far as waiting work needs', () => {
    expect(after(0.85, 0.9, 60, { waitedFor: 1 })).toMatchObject({
      desired: 6,
      clamps: [{ by: 'settling', from: 7, to: 6 }],
    });
  });
});

describe('growing by demand', () => {
  const work = { inFlight: 12, backlog: 300, tasksPerSlotSecond: 0.05, slotsPerMember: 4 };

  test('growth aims to finish waiting work in 300 s', () => {
    // 12 + 300 / (300 x 0.05) = 32 slots; 32 / 4 = 8
    const decision = decide({ work });
    expect(decision.formula.out.work).toEqual({ slots: 32, exact: 8, members: 8 });
    expect(decision).toMatchObject({ direction: 'out', desired: 8, urgency: 'interval' });
  });

  test('work that the members finish in time does not grow a cluster', () => {
    expect(decide({ work: { ...work, backlog: 120 } }).direction).toBe('none'); // 12 + 8 = 20 slots, five members
    // 21.6 slots are 5.4 members, within a tenth of five.
    expect(decide({ work: { ...work, backlog: 144 } }).direction).toBe('none');
    expect(decide({ work: { ...work, backlog: 156 } }).desired).toBe(6); // 22.4 slots, 5.6
  });

  test('a backlog without a service rate does not grow a cluster', () => {
    expect(decide({ work: { ...work, tasksPerSlotSecond: null } }).direction).toBe('none');
  });

  test('unmet capacity is added to the present size', () => {
    expect(decide({ waitedFor: 2 })).toMatchObject({ desired: 7, urgency: 'interval' });
  });
});

describe('urgent', () => {
  test.each([
    [0.95, 'interval'],
    [0.9501, 'now'],
  ])('usage of %d twice: %s', (u, urgency) => {
    expect(at(5, u).urgency).toBe(urgency);
  });

  test('a cluster below its minimum is urgent whatever usage, budget and blocks say', () => {
    const decision = at(1, 0.1, {
      changes: [scaled('in', 4, 60)],
      blocks: [{ direction: 'out', desired: 3, untilMs: nowMs + 1 }],
    });
    expect(decision).toMatchObject({
      direction: 'out',
      desired: 3,
      because: 'below_minimum',
      urgency: 'now',
      charged: 0,
    });
    expect(at(0, null)).toMatchObject({ desired: 3, urgency: 'now' });
  });

  test('a vetoed change is never urgent', () => {
    expect(at(10, 1)).toMatchObject({ direction: 'none', urgency: 'interval' });
  });
});

describe('shrinking', () => {
  test.each([
    // n, u, desired; what would stay is used to u n / (n - k)
    [5, 0.3, 4], // needs 2.3: one a round
    [10, 0.3, 8], // a fifth of ten
    [10, 0.49, 8], // needs 7.5, so two go: 4.9 / 8 = 0.61
    [4, 0.4, 3],
    [3, 0.1, 3], // the minimum
  ])('%i members at %d become %i', (n, u, desired) => {
    const decision = at(n, u);
    expect(decision.desired).toBe(desired);
    expect(decision.victims).toHaveLength(n - desired);
  });

  test('usage at or above the low mark does not shrink a cluster', () => {
    expect(at(10, 0.5)).toMatchObject({ direction: 'none', vetoes: [{ by: 'not_below_low', usage: 0.5 }] });
  });

  test('a cluster shrinks only when every recommendation of 1,200 s was lower, and not below the highest', () => {
    const lately = (desired: number, secondsAgo: number) => [{ atMs: nowMs - seconds(secondsAgo), desired }];
    expect(at(10, 0.2, { recommendations: lately(10, 1199) }).vetoes).toEqual([
      { by: 'recommended_lately', desired: 10, atMs: nowMs - seconds(1199) },
    ]);
    expect(at(10, 0.2, { recommendations: lately(10, 1200) }).desired).toBe(8);
    const nine = at(10, 0.2, { recommendations: lately(9, 600) });
    expect(nine).toMatchObject({ desired: 9, clamps: [{ by: 'window', from: 4, to: 9 }] });
  });

  test('a cluster does not shrink before it was observed for the whole window', () => {
    expect(vetoes(at(10, 0.2, { watchedSinceMs: nowMs - seconds(1199) }))).toEqual(['window_open']);
    expect(vetoes(at(10, 0.2, { watchedSinceMs: nowMs - seconds(1200) }))).toEqual([]);
  });

  test('a cluster does not shrink when the remaining members would exceed .72', () => {
    // Two large members idle at the same ratio: without a small one 0.45 x 24 / 20 = 0.54, without a large one 0.9.
    const small = ['s1', 's2', 's3'].map((id) => member(id, 0.45, { joinedAtMs: 0 }));
    const large = member('large', 0.45, { offers: { slots: 20 } });
    const decision = decide({ members: [...small, large] });
    // The newest is the first victim: 0.45 x 32 / 12 = 1.2
    expect(decision.vetoes).toEqual([{ by: 'after_state', resource: 'slots', usage: 1.2, members: 1 }]);
    const old = decide({
      members: [...small.map((one) => ({ ...one, joinedAtMs: nowMs - seconds(60) })), { ...large, joinedAtMs: 0 }],
    });
    expect(old).toMatchObject({ direction: 'in', desired: 3, after: { resource: 'slots', usage: 0.5143 } }); // 14.4 / 28
  });

  test('a cluster sheds only as many victims as the after-state allows', () => {
    // Ten at .45: needs 7; both victims offer 8 of 56 slots: 25.2 / 40 = .63 is fine, at 14 each 30.6 / 40 = .765 is not.
    const eight = Array.from({ length: 8 }, (_, index) => member(`old${index}`, 0.45, { offers: { slots: 5 } }));
    const two = (slots: number) =>
      ['n1', 'n2'].map((id) => member(id, 0.45, { offers: { slots }, joinedAtMs: nowMs - seconds(100) }));
    expect(decide({ members: [...eight, ...two(8)] })).toMatchObject({ desired: 8, after: { usage: 0.63 } });
    expect(decide({ members: [...eight, ...two(14)] })).toMatchObject({
      desired: 9,
      victims: ['n1'],
      clamps: [
        { by: 'step', from: 7, to: 8 },
        { by: 'after_state', from: 8, to: 9 },
      ],
    });
  });

  test('a cluster does not shrink against coverage and gives the reason', () => {
    const members = ['a', 'b', 'c', 'd'].map((id) => member(id, 0.2, { capabilities: [id] }));
    const decision = decide({ members, rule: rule({ requiredCapabilities: ['a', 'b', 'c', 'd'] }) });
    expect(decision.vetoes).toEqual([
      { by: 'safety', reasons: ['a', 'b', 'c', 'd'].map((id) => `coverage: no other member has "${id}"`) },
    ]);
  });

  test('a cluster above its maximum shrinks step by step whatever its usage', () => {
    const small = rule({ size: { min: 3, desired: 4, max: 4 } });
    const decision = at(10, 0.7, { rule: small, watchedSinceMs: nowMs });
    expect(decision).toMatchObject({ direction: 'in', desired: 8, because: 'above_maximum' });
    expect(decision.clamps).toEqual([{ by: 'step', from: 4, to: 8 }]);
  });
});

describe('metrics that are missing or stale', () => {
  const silent = (count: number, ratio: number | null, over = {}) =>
    Array.from({ length: count }, (_, index) => member(`silent${index}`, ratio, over));

  test('a missing reading counts as idle for growing and as full for shrinking', () => {
    // Four at .9 and one silent: (3.6 + 0) / 5 = .72, (3.6 + 1) / 5 = .92
    const decision = decide({ members: [...membersAt(4, 0.9), ...silent(1, null)] });
    expect(decision.usage).toMatchObject({ out: 0.72, in: 0.92 });
    expect(decision.direction).toBe('none');
    // Nine at .3 and one silent: in = .37, still below .5
    expect(decide({ members: [...membersAt(9, 0.3), ...silent(1, null)] })).toMatchObject({ direction: 'in' });
    // Six at .3 and four silent: in = .58
    expect(vetoes(decide({ members: [...membersAt(6, 0.3), ...silent(4, null)] }))).toEqual(['not_below_low']);
    expect(decide({ members: [...membersAt(6, 0.3), ...silent(4, null)] }).direction).toBe('none');
  });

  test('a member that is not ready or has only just joined counts as silent', () => {
    for (const over of [{ ready: false }, { joinedAtMs: nowMs - seconds(29) }]) {
      const decision = decide({ members: [...membersAt(4, 0.5), ...silent(1, 0.5, over)] });
      expect(decision.usage).toMatchObject({ out: 0.4, in: 0.6 });
    }
    const heard = decide({ members: [...membersAt(4, 0.5), ...silent(1, 0.5, { joinedAtMs: nowMs - seconds(30) })] });
    expect(heard.usage).toMatchObject({ out: 0.5, in: 0.5 });
  });

  test('one stale reading vetoes shrinking and is ignored for growing', () => {
    const stale = { slots: reading(0.1, 0.1, 46) };
    const decision = decide({ members: [...membersAt(9, 0.1), member('old', null, { usage: stale })] });
    expect(vetoes(decision)).toEqual(['stale_metrics']);
    expect(decision.usage.stale).toEqual(['old']);
    const hot = membersAt(5, null).map((one) => ({ ...one, usage: { slots: reading(1, 1, 46) } }));
    expect(decide({ members: hot }).direction).toBe('none');
  });

  test('a resource that no member reported is listed and does not decide', () => {
    const members = membersAt(10, 0.2).map((one) => ({ ...one, offers: { slots: 4, memoryMiB: 2048 } }));
    const decision = decide({ members });
    expect(decision.usage.unmeasured).toEqual(['memoryMiB']);
    expect(decision.direction).toBe('in');
  });

  test('without any metric nothing changes, whatever the work is', () => {
    const work = { inFlight: 0, backlog: 0, tasksPerSlotSecond: 1, slotsPerMember: 4 };
    const decision = at(10, null, { work });
    expect(decision).toMatchObject({ direction: 'none', recommendation: 10 });
    expect(vetoes(decision)).toEqual(['no_metrics']);
    expect(at(5, null)).toMatchObject({ direction: 'none', vetoes: [] });
  });

  test('waiting work with an unknown service rate vetoes shrinking', () => {
    const work = { inFlight: 0, backlog: 3, tasksPerSlotSecond: 0, slotsPerMember: 4 };
    expect(vetoes(at(10, 0.2, { work }))).toEqual(['unknown_service_rate']);
  });
});

describe('the flap budget', () => {
  test('the flap budget of four members an hour clamps growth and vetoes it when used up', () => {
    const spent = (members: number) => ({ changes: [scaled('out', members, 3599)] });
    expect(at(5, 1.1, spent(2))).toMatchObject({ desired: 7, charged: 2 });
    expect(at(5, 1.1, spent(4)).vetoes).toEqual([{ by: 'flap_budget', spent: 4, untilMs: nowMs + seconds(1) }]);
    expect(at(5, 1.1, { changes: [scaled('out', 4, 3600)] }).desired).toBe(9);
    expect(at(10, 0.2, { changes: [scaled('in', 3, 100)] }).desired).toBe(9);
  });

  test('replacing lost members costs no flap budget and is no reversal', () => {
    const spent = [scaled('in', 4, 600)];
    expect(at(5, 1.1, { changes: spent, unreplaced: 2 })).toMatchObject({ desired: 7, charged: 0 });
    expect(at(5, 1.1, { changes: [scaled('out', 9, 60, 'replacement')] })).toMatchObject({ desired: 9, charged: 4 });
    // Two free, four paid for.
    expect(at(6, 1.3, { unreplaced: 2, rule: rule({ size: { min: 3, desired: 6, max: 20 } }) })).toMatchObject({
      desired: 12,
      charged: 4,
    });
  });

  test('only one reversal is allowed in 30 min', () => {
    const turned = [scaled('in', 1, 1700), scaled('out', 1, 1600)];
    // The last went out: going out again is none, going in is the second.
    expect(at(5, 0.9, { changes: turned }).direction).toBe('out');
    expect(at(10, 0.2, { changes: turned }).vetoes).toEqual([{ by: 'reversal', untilMs: nowMs + seconds(200) }]);
    const long = [scaled('in', 1, 3000), scaled('out', 1, 1800)];
    expect(at(10, 0.2, { changes: long }).direction).toBe('in');
    expect(at(10, 0.2, { changes: [scaled('out', 1, 1300)] }).direction).toBe('in'); // the first is allowed
    // The change that was reversed is older than the hour; the reversal is still one.
    const old = [scaled('in', 1, 5000), scaled('out', 1, 1700)];
    expect(vetoes(at(10, 0.2, { changes: old }))).toEqual(['reversal']);
    expect(vetoes(at(10, 0.2, { changes: [scaled('in', 1, 5300), scaled('out', 1, 1700)] }))).toEqual([]);
  });
});

describe('a blocked recommendation', () => {
  const block = (direction: 'out' | 'in', desired: number, secondsLeft = 1) => ({
    blocks: [{ direction, desired, untilMs: nowMs + seconds(secondsLeft) }],
  });

  test('a blocked recommendation is not followed until the block ends', () => {
    expect(vetoes(at(5, 0.9, block('out', 7)))).toEqual(['blocked']);
    expect(at(5, 0.9, block('out', 7, 0)).desired).toBe(7);
    expect(at(5, 0.9, block('in', 7)).desired).toBe(7);
  });

  test('a block on growing holds for one size, a block on shrinking for that size and below', () => {
    expect(at(5, 0.9, block('out', 6)).desired).toBe(7);
    expect(vetoes(at(10, 0.2, block('in', 8)))).toEqual(['blocked']);
    expect(vetoes(at(10, 0.2, block('in', 9)))).toEqual(['blocked']);
    expect(at(10, 0.2, block('in', 7)).desired).toBe(8);
  });
});

describe('an explicitly requested size', () => {
  test.each([
    [8, 8, []],
    [10, 10, []],
    [11, 10, [{ by: 'maximum', from: 11, to: 10 }]],
    [1, 3, [{ by: 'minimum', from: 1, to: 3 }]],
    [5, 5, []],
  ])('%i from five becomes %i, whatever usage, budget, window and blocks say', (asked, desired, clamps) => {
    const decision = at(5, 0.65, {
      asked,
      changes: [scaled('out', 4, 10)],
      watchedSinceMs: nowMs,
      blocks: [{ direction: 'out', desired: 8, untilMs: nowMs + 1 }],
    });
    expect(decision).toMatchObject({ desired, clamps, because: 'asked', charged: Math.abs(desired - 5) });
    expect(decision.victims).toHaveLength(Math.max(0, 5 - desired));
  });

  test('a requested shrink is limited by safety', () => {
    const members = ['a', 'b', 'c', 'd', 'e'].map((id) => member(id, 0.2, { capabilities: id < 'e' ? [id] : [] }));
    const decision = decide({ members, asked: 3, rule: rule({ requiredCapabilities: ['a', 'b', 'c', 'd'] }) });
    expect(decision).toMatchObject({ desired: 4, victims: ['e'], clamps: [{ by: 'safety', from: 3, to: 4 }] });
  });
});
