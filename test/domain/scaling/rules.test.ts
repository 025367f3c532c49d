import { expect, test } from 'vitest';
import { defaultScalingRules, rulesForUsage } from '../../../src/domain/scaling/rules.js';

test('the default threshold gives the default rules', () => {
  expect(rulesForUsage(0.8)).toEqual(defaultScalingRules);
});

test('a lower threshold lowers target, low mark and after-state', () => {
  expect(rulesForUsage(0.4)).toMatchObject({ targetUsage: 0.325, lowUsage: 0.25, afterUsage: 0.36, highUsage: 0.4 });
});

test('a higher threshold changes only the high mark, never above the urgent mark', () => {
  expect(rulesForUsage(0.9)).toEqual({ ...defaultScalingRules, highUsage: 0.9 });
  expect(rulesForUsage(0.97)).toMatchObject({ highUsage: 0.97, urgentUsage: 0.97 });
});

test.each([0.05, 0.3, 0.5, 0.8, 0.95, 1])(
  'with a threshold of %d the marks keep their order, so a shrunk cluster does not grow again',
  (usage) => {
    const { lowUsage, targetUsage, afterUsage, highUsage, urgentUsage } = rulesForUsage(usage);
    expect([lowUsage, targetUsage, afterUsage, highUsage]).toEqual(
      [lowUsage, targetUsage, afterUsage, highUsage].sort((a, b) => a - b),
    );
    expect(afterUsage).toBeLessThan(highUsage);
    expect(highUsage).toBeLessThanOrEqual(urgentUsage);
  },
);
