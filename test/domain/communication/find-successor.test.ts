import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findSuccessor, type OrphanedDelivery } from '../../../src/domain/communication/find-successor.js';
import type { Directory, RoutableTopic } from '../../../src/domain/communication/routing.js';

const table = (roles: Readonly<Record<string, readonly string[]>>) => ({
  epoch: 2,
  members: Object.entries(roles).map(([agentId, own]) => ({ agentId, roles: own })),
});
const topic: RoutableTopic = {
  state: 'open',
  keeps: false,
  publish: null,
  subscribe: null,
  subscriptions: [
    { agentId: 'a', queueGroup: 'g' },
    { agentId: 'b', queueGroup: 'g' },
    { agentId: 'c', queueGroup: 'h' },
    { agentId: 'd', queueGroup: null },
  ],
};
const ids = ['a', 'b', 'c', 'd', 'gone', 'source'];
const directory: Directory = {
  clusters: new Map([['cl', table({ a: ['chief'], b: ['chief', 'scribe'], c: [], source: ['scribe'] })]]),
  agents: new Map(ids.map((agentId) => [agentId, { agentId, status: 'live', open: agentId === 'a' ? 9 : 0 }])),
  capabilities: new Map([['search', ['a', 'd', 'gone']]]),
  topics: new Map([['news', topic]]),
  clustersOf: new Map([['a', ['cl']]]),
};
const stray = (via: string, rest: Partial<OrphanedDelivery> = {}): OrphanedDelivery => ({
  agentId: 'gone',
  via,
  messageId: 'm',
  source: 'source',
  clusterId: 'cl',
  topic: 'news',
  holders: [],
  ...rest,
});

describe('findSuccessor', () => {
  it.each<[string, Partial<OrphanedDelivery>, string | undefined]>([
    ['role:chief', {}, 'b'],
    ['role:chief', { agentId: 'b' }, 'a'],
    ['role:scribe', { agentId: 'b' }, undefined],
    ['role:chief', { clusterId: 'closed' }, undefined],
    ['role:chief', { clusterId: null }, undefined],
    ['role:nobody', {}, undefined],
    ['capability:search', {}, 'a'],
    ['capability:search', { clusterId: null }, 'd'],
    ['capability:search', { clusterId: null, source: 'd' }, 'a'],
    ['capability:other', { clusterId: null }, undefined],
    ['group:g', { clusterId: null }, 'b'],
    ['group:g', { clusterId: null, holders: ['b'] }, 'a'],
    ['group:g', { clusterId: null, holders: ['a', 'b'] }, undefined],
    ['group:g', { topic: null }, undefined],
    ['group:g', { topic: 'deleted' }, undefined],
    ['agent', {}, undefined],
    ['member', {}, undefined],
    ['subscriber', {}, undefined],
    ['retained', {}, undefined],
    ['replay', {}, undefined],
  ])('the successor of a delivery via %s %j is %s', (via, rest, expected) => {
    expect(findSuccessor(stray(via, rest), directory)).toBe(expected);
  });

  it("a queue group's successor must be allowed to subscribe to the topic", () => {
    const listed = { ...topic, subscribe: { agents: [], clusters: ['cl'] } };
    const asked = { ...directory, topics: new Map([['news', listed]]) };
    expect(findSuccessor(stray('group:g'), asked)).toBe('a');
    expect(findSuccessor(stray('group:h'), asked)).toBeUndefined();
  });

  it('a role name may contain colons', () => {
    const clusters = new Map([['cl', table({ c: ['team:a:chief'] })]]);
    expect(findSuccessor(stray('role:team:a:chief'), { ...directory, clusters })).toBe('c');
  });

  it('a successor is never the previous recipient, the sender or an agent that holds the message', () => {
    const some = fc.subarray(ids);
    fc.assert(
      fc.property(
        fc.constantFrom('role:chief', 'capability:search', 'group:g'),
        fc.constantFrom(...ids),
        fc.constantFrom(...ids),
        some,
        (via, agentId, source, holders) => {
          const found = findSuccessor(stray(via, { agentId, source, holders }), directory);
          expect([agentId, source, ...holders]).not.toContain(found);
        },
      ),
    );
  });
});
