import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { prepareProblem } from '../../../src/domain/formation/problem.js';
import { greedyCover } from '../../../src/domain/formation/set-cover.js';
import type { Candidate, MatchRequest } from '../../../src/domain/formation/types.js';
import { agent, candidates, request, requests } from './builders.js';
import { costOf } from './oracle.js';

describe('greedyCover', () => {
  test('greedyCover takes the most new capabilities per price', () => {
    // wide 3 / (1 + .34) = 2.24 before cheap 2 / 1 = 2; then only last has d. Cheap fills up: it holds a and b twice.
    const fleet = [
      agent('wide', { capabilities: ['a', 'b', 'c'], load: 1 }),
      agent('cheap', { capabilities: ['a', 'b'] }),
      agent('last', { capabilities: ['d'], load: 0.5 }),
    ];
    const asked = request({ requiredCapabilities: ['a', 'b', 'c', 'd'] });
    const order = (target: number) => greedyCover(prepareProblem(fleet, asked), target, 3).chosen.map(({ id }) => id);
    expect(order(1)).toEqual(['wide', 'last']);
    expect(order(3)).toEqual(['wide', 'last', 'cheap']);
  });

  test('greedyCover takes the best agent of all at every step', () => {
    // Without roles, kept members and a hard spread the rule is short enough to write down again, slowly.
    const plain = requests(10, 0).map((one): MatchRequest => ({
      ...one,
      roles: [],
      spread: one.spread && { ...one.spread, mode: 'soft' },
    }));
    fc.assert(
      fc.property(candidates(0, 30), plain, (fleet, asked) => {
        const problem = prepareProblem(fleet, asked);
        const { min, desired, max } = asked.size;
        fc.pre(min <= fleet.length);
        const order = greedyCover(problem, Math.min(desired, fleet.length), Math.min(max, fleet.length)).chosen;
        const chosen: Candidate[] = [];
        for (const { id } of order) {
          const left = fleet.filter((one) => !chosen.includes(one));
          const values = valuesOf(left, chosen, asked);
          const taken = left.findIndex((one) => one.id === id);
          expect(values[taken]).toBeCloseTo(Math.max(...values), 9);
          chosen.push(...left.slice(taken, taken + 1));
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** Gain per price of each agent left, in the pass the choice so far is in: covering, holding twice, filling up. */
const valuesOf = (left: readonly Candidate[], chosen: readonly Candidate[], asked: MatchRequest): number[] => {
  const holders = (token: string) => chosen.filter(({ capabilities }) => capabilities.includes(token)).length;
  const gains = (already: number) =>
    left.map(
      ({ capabilities }) =>
        asked.requiredCapabilities.filter((token) => holders(token) <= already && capabilities.includes(token)).length,
    );
  const passes = [gains(0), gains(1), left.map(() => 1)];
  const current = passes.find((pass) => pass.some((gain) => gain > 0)) ?? [];
  return left.map(
    (one, index) => (current[index] ?? 0) / (1 + costOf([...chosen, one], asked) - costOf(chosen, asked)),
  );
};
