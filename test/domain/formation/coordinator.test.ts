import { expect, test } from 'vitest';
import { electCoordinator } from '../../../src/domain/formation/coordinator.js';

test('electCoordinator elects the least loaded member', () => {
  const members = [
    { agentId: 'a', load: 0.4 },
    { agentId: 'b', load: 0.1 },
    { agentId: 'c', load: 0.2 },
  ];
  expect(electCoordinator(members, 'op_1')).toBe('b');
});

test('electCoordinator breaks ties by seed, not by order', () => {
  const members = Array.from({ length: 8 }, (_, index) => ({ agentId: `agent-${index}`, load: 0 }));
  const winners = Array.from({ length: 60 }, (_, op) => electCoordinator(members, `op_${op}`));
  expect(winners).toEqual(Array.from({ length: 60 }, (_, op) => electCoordinator([...members].reverse(), `op_${op}`)));
  expect(new Set(winners).size).toBeGreaterThanOrEqual(6);
});

test('electCoordinator returns null without members', () => {
  expect(electCoordinator([], 'op_1')).toBeNull();
});
