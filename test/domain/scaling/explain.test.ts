import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { assess } from '../../../src/domain/scaling/assess.js';
import { explainDecision } from '../../../src/domain/scaling/explain.js';
import type { ClusterFacts } from '../../../src/domain/scaling/types.js';
import { facts, member, membersAt, nowMs, reading, rule, seconds } from './builders.js';

/** A member that joined a minute ago. */
const late = member('late', null, { joinedAtMs: nowMs - seconds(60), usage: { slots: reading(0.85, 0.9) } });

const told = (over: Partial<ClusterFacts>): string => explainDecision(assess(facts(over)));

describe('explainDecision', () => {
  test.each<[string, Partial<ClusterFacts>, string]>([
    [
      'growing',
      { members: membersAt(5, 0.96), changes: [{ atMs: nowMs, direction: 'out', members: 2, cause: 'scaling' }] },
      'Grows from 5 to 7 members at once: usage of slots 0.96 (0.96 a sample before) needs ceil(5 x 0.96 / 0.65) = ' +
        'ceil(7.3846) = 8 members; the flap budget of 4 in 3600 s limits 8 to 7.',
    ],
    [
      'growing by work and unmet capacity',
      {
        work: { inFlight: 12, backlog: 300, tasksPerSlotSecond: 0.05, slotsPerMember: 4 },
        waitedFor: 2,
      },
      'Grows from 5 to 8 members: usage of slots 0.65 (0.65 a sample before) needs ceil(5 x 0.65 / 0.65) = ' +
        'ceil(5) = 5 members; work of 12 in flight + 300 waiting / (300 s x 0.05 a slot) = 32 slots needs ' +
        'ceil(32 / 4) = ceil(8) = 8 members; unmet capacity of 2 makes 5 + 2 = 7 members.',
    ],
    [
      'growing while the average still falls',
      {
        members: [
          ...membersAt(4, null).map(({ id }) => member(id, null, { usage: { slots: reading(0.85, 0.9) } })),
          late,
        ],
      },
      'Stays at 5 members: usage of slots 0.85 (0.9 a sample before) needs ceil(5 x 0.85 / 0.65) = ceil(6.5385) = 7 ' +
        'members; not done, because usage 0.85 (0.9 a sample before) is falling and may reflect ' +
        'the smaller cluster until 2026-01-01T12:03:00.000Z.',
    ],
    [
      'shrinking',
      { members: [...membersAt(9, 0.3), member('quiet', null)] },
      'Shrinks from 10 to 8 members, of which m0, m1 leave: usage of slots 0.37, 1 member without a reading counted as full, ' +
        'needs ceil(10 x 0.37 / 0.65) = ceil(5.6923) = 6 members; the remaining members then use 0.4625 of slots, ' +
        'at most 0.72; one member or 20 % in a round limits 6 to 8.',
    ],
    [
      'at rest, within the tolerance',
      { members: membersAt(5, 0.7) },
      'Stays at 5 members: usage of slots 0.7 needs 5 x 0.7 / 0.65 = 5.3846, within 10 % of 5 and so 5 members.',
    ],
    [
      'vetoed',
      {
        members: [...membersAt(9, 0.3), member('old', null, { usage: { slots: reading(0.3, 0.3, 60) } })],
        recommendations: [{ atMs: nowMs - seconds(600), desired: 10 }],
      },
      'Stays at 10 members: usage of slots 0.37, 1 member without a reading counted as full, needs ceil(10 x 0.37 / 0.65) = ' +
        'ceil(5.6923) = 6 members; not done, because the metrics of old are older than 45 s, and 10 was recommended ' +
        'at 2026-01-01T11:50:00.000Z, within the last 1200 s.',
    ],
    [
      'asked for too much',
      { asked: 12 },
      'Grows from 5 to 10 members: 12 was requested, within 3 to 10; the maximum of 10 limits 12 to 10.',
    ],
    [
      'below the minimum',
      { members: membersAt(2, 0.1) },
      'Grows from 2 to 3 members at once: 2 is below the minimum of 3.',
    ],
    ['without metrics', { members: membersAt(5, null) }, 'Stays at 5 members: no usage is measured.'],
  ])('%s', (_name, over, sentence) => {
    expect(told(over)).toBe(sentence);
  });
});

test('every calculation in an explanation is correct and matches the decision', () => {
  const amount = fc.integer({ min: 0, max: 20_000 }).map((n) => n / 10_000);
  let checked = 0;
  fc.assert(
    fc.property(
      fc.array(amount, { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 0, max: 60 }),
      fc.integer({ min: 0, max: 500 }),
      fc.integer({ min: 1, max: 40 }),
      (ratios, inFlight, backlog, rate) => {
        const members = ratios.map((ratio, index) => member(`m${index}`, ratio));
        const work = { inFlight, backlog, tasksPerSlotSecond: rate / 100, slotsPerMember: 4 };
        const decision = assess(facts({ members, work, rule: rule({ size: { min: 1, desired: 5, max: 10 } }) }));
        const sentence = explainDecision(decision);
        const results = [
          ...sentence.matchAll(/ceil\(([\d.]+)(?: x ([\d.]+))? \/ ([\d.]+)\) = ceil\(([\d.]+)\) = (\d+)/g),
        ];
        for (const [, a, b = '1', c, exact, result] of results) {
          const value = (Number(a) * Number(b)) / Number(c);
          expect(value).toBeCloseTo(Number(exact), 3);
          expect(Math.ceil(Number(exact))).toBe(Number(result));
          checked += 1;
        }
        const terms = [...sentence.matchAll(/(?:= |so )(\d+) members?\b/g)].map(([, members]) => Number(members));
        const formula = decision.wished > decision.from ? decision.formula.out : decision.formula.in;
        expect(Math.max(...terms)).toBe(formula.desired);
      },
    ),
    { numRuns: 300 },
  );
  expect(checked).toBeGreaterThan(300);
});
