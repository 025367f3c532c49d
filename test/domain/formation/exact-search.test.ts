import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exactSearch, isBetter } from '../../../src/domain/formation/exact-search.js';
import { prepareProblem } from '../../../src/domain/formation/problem.js';
import { isCovered, scoreOf } from '../../../src/domain/formation/selection.js';
import { greedyCover } from '../../../src/domain/formation/set-cover.js';
import { agent, candidates, request, requests } from './builders.js';

const plenty = () => ({ steps: 10_000_000 });

describe('exactSearch', () => {
  test('the exact search is never worse than the greedy choice, with or without it as incumbent', () => {
    let better = 0;
    fc.assert(
      fc.property(candidates(1, 20), requests(10, 1), (fleet, asked) => {
        const problem = prepareProblem(fleet, asked);
        const kept = asked.kept.length;
        const target = Math.min(Math.max(asked.size.desired, kept), kept + problem.options.length);
        const greedy = greedyCover(problem, target, target);
        fc.pre(isCovered(greedy) && kept + greedy.chosen.length === target);
        const greedyScore = scoreOf(problem, greedy.chosen);
        for (const incumbent of [greedy.chosen, null]) {
          const exact = exactSearch(problem, target, incumbent, plenty());
          expect(exact).toHaveLength(greedy.chosen.length);
          const score = scoreOf(problem, exact ?? []);
          expect(isBetter(greedyScore, score)).toBe(false);
          if (isBetter(score, greedyScore)) better += 1;
        }
      }),
      { numRuns: 150 },
    );
    // The comparison would say nothing if the two always chose alike.
    expect(better).toBeGreaterThan(0);
  });

  test('the exact search keeps the incumbent when its budget is used up', () => {
    const problem = prepareProblem(
      ['a', 'b', 'c'].map((id) => agent(id)),
      request(),
    );
    const incumbent = problem.options.slice(1);
    expect(exactSearch(problem, 2, incumbent, { steps: 0 })).toBe(incumbent);
    expect(exactSearch(problem, 2, null, { steps: 0 })).toBeNull();
  });

  test('the exact search refuses a size with too few candidates', () => {
    expect(exactSearch(prepareProblem([agent('a')], request()), 2, null, plenty())).toBeNull();
  });
});
