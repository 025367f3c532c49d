import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jainIndex } from '../../../src/domain/scaling/jain.js';

test.each([
  [[], 1],
  [[0, 0], 1],
  [[5], 1],
  [[2, 2, 2], 1],
  [[1, 0, 0, 0], 0.25],
  [[1, 2, 3], 36 / 42], // (1+2+3)^2 / (3 * (1+4+9))
  [[1e200, 1e200], 1],
])('of %j is %d', (amounts, expected) => {
  expect(jainIndex(amounts)).toBeCloseTo(expected, 12);
});

test("Jain's index lies between 1/n and 1 and does not depend on the unit", () => {
  const amounts = fc.array(fc.double({ min: 0.001, max: 1000, noNaN: true }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(amounts, fc.double({ min: 0.001, max: 1000, noNaN: true }), (all, unit) => {
      const index = jainIndex(all);
      expect(index).toBeGreaterThanOrEqual(1 / all.length - 1e-9);
      expect(index).toBeLessThanOrEqual(1 + 1e-9);
      expect(jainIndex(all.map((amount) => amount * unit))).toBeCloseTo(index, 9);
    }),
  );
});
