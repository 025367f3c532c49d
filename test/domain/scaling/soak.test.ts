import fc from 'fast-check';
import { expect, test } from 'vitest';
import { defaultScalingRules as rules } from '../../../src/domain/scaling/rules.js';
import { evaluateSoak, soakSeconds, type Soak } from '../../../src/domain/scaling/soak.js';

const soak = (scores: Soak['scores'], over: Partial<Soak> = {}): Soak => ({
  direction: 'in',
  from: 6,
  desired: 5,
  min: 3,
  before: 0.95,
  scores,
  mayWait: true,
  rolledBack: false,
  ...over,
});
const verdict = (scores: Soak['scores'], over: Partial<Soak> = {}) =>
  evaluateSoak(soak(scores, over), 1000, rules).verdict;

test('growing soaks for 60 s, shrinking for 120 s', () => {
  expect([soakSeconds('out', rules), soakSeconds('in', rules)]).toEqual([60, 120]);
});

test.each<[string, Soak['scores'], Partial<Soak>, string]>([
  ['all three are at .9', [0.9, 0.9, 0.9], {}, 'passed'],
  ['one of three is below', [0.9, 0.899, 0.95], {}, 'roll_back'],
  ['only the last three count', [0.1, 0.9, 0.9, 0.9], {}, 'passed'],
  ['.6 before, .58 now: within .02', [0.58, 0.6, 0.7], { before: 0.6 }, 'passed'],
  ['.6 before, .579 now', [0.579, 0.6, 0.7], { before: 0.6 }, 'roll_back'],
  ['the score fell from 1 to .9', [0.9, 0.9, 0.9], { before: 1 }, 'passed'],
  ['the score before is not known, the new ones are low', [0.8, 0.8, 0.8], { before: null }, 'roll_back'],
  ['the score before is not known, the new ones are high', [0.9, 0.9, 0.9], { before: null }, 'passed'],
  ['one is not known', [0.95, null, 0.95], {}, 'roll_back'],
  ['two samples may become three', [1, 1], {}, 'waiting'],
  ['two samples will not become three', [1, 1], { mayWait: false }, 'roll_back'],
  ['no sample at all', [], { mayWait: false }, 'roll_back'],
  ['it is the rollback', [0, 0, 0], { rolledBack: true }, 'failed'],
  ['the way back leads below the minimum', [0, 0, 0], { direction: 'out', from: 2, desired: 3 }, 'failed'],
])('%s', (_name, scores, over, expected) => {
  expect(verdict(scores, over)).toBe(expected);
});

test('a failed soak rolls back once and blocks the recommendation for 1,800 s', () => {
  expect(evaluateSoak(soak([0.5, null, 0.9]), 1000, rules)).toEqual({
    verdict: 'roll_back',
    to: 6,
    block: { direction: 'in', desired: 5, untilMs: 1_801_000 },
    why:
      'the last scores are 0.500, unknown, 0.900, the one before was 0.950; ' +
      '3 in a row must be at least 0.9, or at most 0.02 below the one before',
  });
});

test('higher scores never turn a pass into a rollback', () => {
  const score = fc.double({ min: 0, max: 1, noNaN: true });
  fc.assert(
    fc.property(fc.tuple(score, score, score), fc.option(score), score, (scores, before, more) => {
      if (verdict(scores, { before }) !== 'passed') return;
      expect(
        verdict(
          scores.map((one) => Math.min(1, one + more)),
          { before },
        ),
      ).toBe('passed');
    }),
  );
});
