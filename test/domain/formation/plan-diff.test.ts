import { expect, test } from 'vitest';
import { describePlan } from '../../../src/domain/formation/plan-diff.js';

const nothing = { joins: [], leaves: [], unchanged: [], queue: [], unrepairable: [], releases: [] };

test('describePlan writes one line for each change, sorted by cluster id', () => {
  expect(
    describePlan({
      joins: [
        { clusterId: 'cl_x', agentId: 'agent-7', roles: ['worker'] },
        { clusterId: 'cl_x', agentId: 'agent-8', roles: [] },
      ],
      leaves: [{ clusterId: 'cl_x', agentId: 'agent-3', reason: 'lease expired 43 s ago' }],
      unchanged: ['cl_y', 'cl_a'],
      unrepairable: [{ clusterId: 'cl_b', reason: 'needs 3 agents, 2 are eligible' }],
      releases: [{ agentId: 'agent-9', operationId: 'op_w' }],
      queue: [
        { operationId: 'op_z', blockedBy: null },
        { operationId: 'op_q', blockedBy: 'no eligible agent has the capability "vision"' },
      ],
    }),
  ).toEqual([
    '= cl_a unchanged',
    '! cl_b cannot be repaired: needs 3 agents, 2 are eligible',
    '- agent-3 leaves cl_x (lease expired 43 s ago)',
    '+ agent-7 joins cl_x as worker',
    '+ agent-8 joins cl_x',
    '= cl_y unchanged',
    '~ reservation of agent-9 by op_w has expired and is released',
    '~ queue: op_z can be served now',
    '~ queue: op_q waits on: no eligible agent has the capability "vision"',
  ]);
});

test('describePlan says when nothing changes', () => {
  expect(describePlan(nothing)).toEqual(['= nothing to change']);
});
