import { expect, test } from 'vitest';
import { agentCostMicros, costWeights, sameGroupMicros } from '../../../src/domain/formation/cost.js';
import { agent } from './builders.js';

test('the weights of load, usage and cluster share sum to 1', () => {
  expect(costWeights.load + costWeights.usage + costWeights.clusters).toBeCloseTo(1, 12);
  expect(sameGroupMicros).toBe(150_000);
});

test.each([
  [{}, true, 0],
  [{ load: 1, usageRatio: 1, clusterRatio: 1 }, true, 1_000_000],
  [{ load: 0.5 }, true, 170_000], // .34 * .5
  [{ usageRatio: 0.2, clusterRatio: 0.4 }, true, 198_000], // .33 * .2 + .33 * .4 = .066 + .132
  [{ recentFlaps: 3 }, true, 300_000],
  [{ load: 0.1 }, false, 1_034_000], // .034 + 1
  [{ load: 7, usageRatio: -1 }, true, 340_000], // beyond its bounds a ratio counts as the bound
])('%j, related %s, costs %i millionths', (over, related, micros) => {
  expect(agentCostMicros(agent('a', over), related)).toBe(micros);
});
