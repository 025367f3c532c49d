import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planLinks } from '../../../src/domain/formation/links.js';

const ids = (count: number) => Array.from({ length: count }, (_, index) => `m${String(index).padStart(2, '0')}`);

describe('planLinks', () => {
  test.each([
    [0, 0],
    [1, 0],
    [2, 1],
    [3, 3],
    [5, 10], // full mesh: 5 * 4 / 2
    [6, 15], // 3 on each side reach all 5 others: 6 * 5 / 2
    [7, 21], // 7 * 6 / 2
    [8, 24], // 8 * 3
    [10, 30],
  ])('gives %i members %i links', (count, links) => {
    expect(planLinks(ids(count))).toHaveLength(links);
  });

  test('three members are fully meshed, the smaller id first', () => {
    expect(planLinks(['c', 'a', 'b'])).toEqual([
      ['a', 'b'],
      ['a', 'c'],
      ['b', 'c'],
    ]);
  });

  test("links do not depend on the members' order, and no member is linked with itself", () => {
    const members = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 14 });
    fc.assert(
      fc.property(members, (list) => {
        const links = planLinks(list);
        expect(planLinks([...list].reverse())).toEqual(links);
        expect(planLinks([...list, ...list])).toEqual(links);
        for (const [a, b] of links) expect(a < b).toBe(true);
      }),
    );
  });

  test('links stay connected when any five members are lost', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 7, max: 14 }),
        fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
        (count, lost) => {
          const gone = new Set(lost.map((index) => ids(count)[index % count]));
          const left = ids(count).filter((id) => !gone.has(id));
          const links = planLinks(ids(count)).filter(([a, b]) => !gone.has(a) && !gone.has(b));
          const reached = new Set(left.slice(0, 1));
          for (let before = -1; before !== reached.size;) {
            before = reached.size;
            for (const [a, b] of links) {
              if (reached.has(a)) reached.add(b);
              if (reached.has(b)) reached.add(a);
            }
          }
          expect(reached.size).toBe(left.length);
        },
      ),
    );
  });
});
