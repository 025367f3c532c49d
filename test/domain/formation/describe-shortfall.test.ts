import { expect, test } from 'vitest';
import { describeShortfall } from '../../../src/domain/formation/describe-shortfall.js';
import type { Shortfall } from '../../../src/domain/formation/types.js';

test.each<[Shortfall[], Record<string, number>, string]>([
  [[], { lease_expired: 3 }, ''],
  [
    [
      { kind: 'size', min: 3, max: 5, found: 2 },
      { kind: 'capability', capability: 'vision', found: 0 },
    ],
    { no_capacity: 5, lease_expired: 7, quarantined: 0 },
    'needs 3 agents, 2 are eligible; no eligible agent has the capability "vision"; 12 agents were rejected: 7 lease_expired, 5 no_capacity. ' +
      'Register more agents, lower size.min or register agents with the capability.',
  ],
  [
    [{ kind: 'role', role: 'lead', capability: 'plan', min: 1, max: 1, found: 0 }],
    { labels: 1 },
    'role "lead" needs 1 agent with the capability "plan", 0 are eligible; 1 agent was rejected: 1 labels. ' +
      'Register agents for role "lead" or lower its min.',
  ],
  [
    [{ kind: 'spread', by: 'host', needed: 3, allowedPerGroup: 1, placeable: 2, unknown: 4 }],
    {},
    'the hard spread allows 1 of 3 agents on one host, so only 2 can be placed, and 4 agents reported no host. ' +
      'Register agents on other hosts, have agents report their host or ask for a soft spread.',
  ],
  [
    [{ kind: 'room', max: 2, unmet: ['c'] }],
    {},
    'no 2 of the eligible agents meet every need at once: unmet "c". Register more agents that meet these needs or raise size.max.',
  ],
  [[{ kind: 'size', min: 1, max: 2, found: 3 }], {}, 'may have 2 agents, there are 3. Raise size.max.'],
  [
    [{ kind: 'role', role: 'lead', capability: 'plan', min: 1, max: 1, found: 2 }],
    {},
    'role "lead" may have 1 agent, 2 hold it. Raise the max of role "lead".',
  ],
])('%j, rejected %j', (shortfall, rejected, sentence) => {
  expect(describeShortfall(shortfall, rejected)).toBe(sentence);
});
