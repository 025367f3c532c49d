import { expect, test } from 'vitest';
import { allowedPerGroup, groupOf, placeable } from '../../../src/domain/formation/spread.js';
import { agent } from './builders.js';

test.each([
  [1, 1],
  [2, 1],
  [3, 1],
  [4, 1],
  [5, 2],
  [6, 2],
  [7, 3],
  [8, 3],
  [10, 4],
])('of %i members %i may share a host', (size, allowed) => {
  expect(allowedPerGroup(size)).toBe(allowed);
});

test('placeable counts each group up to the allowed number', () => {
  expect(placeable([4, 2, 1], 5)).toBe(5); // 2 + 2 + 1
  expect(placeable([4, 2, 1], 4)).toBe(3); // 1 + 1 + 1
});

test('groupOf reads the host or zone that the spread names', () => {
  const one = agent('a', { host: 'h', zone: null });
  expect(groupOf(one, { by: 'host', mode: 'soft' })).toBe('h');
  expect(groupOf(one, { by: 'zone', mode: 'soft' })).toBeNull();
});
