import { describe, expect, it } from 'vitest';
import type { Address } from '../../../src/contracts/messages.js';
import { routeMessages } from '../../../src/domain/communication/route-messages.js';
import type { Directory, RoutableTopic, Route, Sender } from '../../../src/domain/communication/routing.js';

const allAgents = ['a', 'b', 'c', 'd', 'e'];
const member = (agentId: string, ...roles: string[]) => ({ agentId, roles });
const topic = (rest: Partial<RoutableTopic> = {}): RoutableTopic => ({
  state: 'open',
  keeps: false,
  publish: null,
  subscribe: null,
  subscriptions: [],
  ...rest,
});
const subscribers = [
  { agentId: 'a', queueGroup: null },
  { agentId: 'b', queueGroup: null },
  { agentId: 'c', queueGroup: 'g' },
  { agentId: 'd', queueGroup: 'g' },
  { agentId: 'd', queueGroup: 'h' },
];
/** c has more mail than d; e has left. */
const directory: Directory = {
  clusters: new Map([
    ['one', { epoch: 3, members: [member('a', 'chief'), member('b', 'scribe'), member('c', 'scribe')] }],
    ['two', { epoch: 7, members: [member('c'), member('d', 'chief')] }],
    ['alone', { epoch: 1, members: [member('a')] }],
  ]),
  agents: new Map(
    allAgents.map((agentId) => {
      const status = agentId === 'e' ? ('left' as const) : ('live' as const);
      return [agentId, { agentId, status, open: agentId === 'c' ? 5 : 0 }];
    }),
  ),
  capabilities: new Map([['search', ['c', 'd', 'e']]]),
  topics: new Map([
    ['news', topic({ subscriptions: subscribers })],
    ['quiet', topic()],
    ['kept', topic({ keeps: true })],
    ['going', topic({ state: 'draining', subscriptions: subscribers })],
    ['listed', topic({ publish: { agents: ['a'], clusters: ['two'] }, subscriptions: subscribers })],
    ['closed', topic({ subscribe: { agents: ['b'], clusters: ['two'] }, subscriptions: subscribers })],
  ]),
  clustersOf: new Map([
    ['a', ['alone', 'one']],
    ['b', ['one']],
    ['c', ['one', 'two']],
    ['d', ['two']],
  ]),
};
const operator: Sender = { agentId: null, reach: 'cluster' };
const free = (agentId: string): Sender => ({ agentId, reach: 'fleet' });
const bound = (agentId: string): Sender => ({ agentId, reach: 'cluster' });

const routeOf = (sender: Sender, to: Address): Route => routeMessages([{ id: 'm', sender, to }], directory)[0] as Route;
const namesOf = (route: Route): string[] => {
  if (route.state !== 'routed') throw new Error(`refused: ${route.detail}`);
  return route.recipients.map(({ agentId, via }) => `${agentId} ${via}`).sort();
};

describe('routeMessages', () => {
  it.each<[string, Sender, Address, string[]]>([
    ['to an agent', free('a'), { agent: 'd' }, ['d agent']],
    ['to oneself', bound('a'), { agent: 'a' }, ['a agent']],
    ['to an unknown agent', free('a'), { agent: 'x' }, ['x agent']],
    ['to a role', free('a'), { role: 'scribe', cluster: 'one' }, ['b role:scribe']],
    ['to a role that the sender has too', free('b'), { role: 'scribe', cluster: 'one' }, ['c role:scribe']],
    ['to a role no other member has', free('a'), { role: 'chief', cluster: 'one' }, []],
    ['to a capability anywhere', free('a'), { capability: 'search' }, ['d capability:search']],
    ['to a capability in a cluster', free('a'), { capability: 'search', cluster: 'one' }, ['c capability:search']],
    ['to a capability no agent has', free('a'), { capability: 'fly' }, []],
    ['to a cluster', free('b'), { cluster: 'one' }, ['a member', 'c member']],
    ['to a cluster, by an operator', operator, { cluster: 'one' }, ['a member', 'b member', 'c member']],
    ['to a cluster of oneself', free('a'), { cluster: 'alone' }, []],
    [
      'to clusters that share a member',
      free('d'),
      { clusters: ['two', 'one', 'one'] },
      ['a member', 'b member', 'c member'],
    ],
    ['to all clusters', free('c'), { allClusters: true }, ['a member', 'b member', 'd member']],
    ['to a topic', free('b'), { topic: 'news' }, ['a subscriber', 'd group:g']],
    ['to a topic, by one of a group', free('d'), { topic: 'news' }, ['a subscriber', 'b subscriber', 'c group:g']],
    ['to a topic that lets few subscribe', free('a'), { topic: 'closed' }, ['b subscriber', 'd group:g']],
    ['to a topic that lists the sender', free('a'), { topic: 'listed' }, ['b subscriber', 'd group:g']],
    [
      'to a topic that lists a cluster of the sender',
      bound('d'),
      { topic: 'listed' },
      ['a subscriber', 'b subscriber', 'c group:g'],
    ],
    [
      'to a topic that lists others, by an operator',
      operator,
      { topic: 'listed' },
      ['a subscriber', 'b subscriber', 'd group:g'],
    ],
  ])('a message %s reaches its recipients', (_what, sender, to, expected) => {
    expect(namesOf(routeOf(sender, to))).toEqual(expected);
  });

  it.each<[string, Sender, Address, string]>([
    ['a closed cluster', free('a'), { cluster: 'x' }, 'unknown_cluster'],
    ['one closed cluster of two', free('a'), { clusters: ['one', 'x'] }, 'unknown_cluster'],
    ['a role in a closed cluster', free('a'), { role: 'chief', cluster: 'x' }, 'unknown_cluster'],
    ['a capability in a closed cluster', free('a'), { capability: 'search', cluster: 'x' }, 'unknown_cluster'],
    ['a role no other member has', free('a'), { role: 'chief', cluster: 'one' }, 'no_subscriber'],
    ['a capability no agent has', free('a'), { capability: 'fly' }, 'no_subscriber'],
    ['a cluster of oneself', free('a'), { cluster: 'alone' }, 'no_subscriber'],
    ['an unknown topic', free('a'), { topic: 'x' }, 'unknown_topic'],
    ['a topic that is being deleted', free('a'), { topic: 'going' }, 'unknown_topic'],
    ['a topic without subscribers', free('a'), { topic: 'quiet' }, 'no_subscriber'],
  ])('a message to %s becomes a dead letter', (_what, sender, to, reason) => {
    const route = routeOf(sender, to);
    expect(route).toMatchObject({ state: 'routed', recipients: [], dead: { reason } });
    expect(route.state === 'routed' && route.dead?.detail).toMatch(/\w+ \w+/);
  });

  it('a message to a retaining topic needs no subscriber', () => {
    const route = routeOf(free('a'), { topic: 'kept' });
    expect(route).toMatchObject({ recipients: [], retain: true, topic: 'kept' });
    expect(route).not.toHaveProperty('dead');
  });

  it.each<[string, Sender, Address]>([
    ['an agent of another cluster', bound('a'), { agent: 'd' }],
    ['an unknown agent', bound('a'), { agent: 'x' }],
    ['another cluster', bound('a'), { cluster: 'two' }],
    ['all clusters', bound('a'), { allClusters: true }],
    ['one cluster of its own and another', bound('a'), { clusters: ['one', 'two'] }],
    ['a role in another cluster', bound('a'), { role: 'chief', cluster: 'two' }],
    ['a capability anywhere', bound('a'), { capability: 'search' }],
    ['a capability in another cluster', bound('a'), { capability: 'search', cluster: 'two' }],
    ['a topic that does not list it', free('b'), { topic: 'listed' }],
  ])('a message to %s is forbidden to an agent limited to its clusters', (_what, sender, to) => {
    expect(routeOf(sender, to)).toMatchObject({ state: 'refused', code: 'forbidden' });
  });

  it('an agent limited to its clusters may send within them', () => {
    expect(namesOf(routeOf(bound('c'), { agent: 'd' }))).toEqual(['d agent']);
    expect(namesOf(routeOf(bound('c'), { clusters: ['one', 'two'] }))).toEqual(['a member', 'b member', 'd member']);
    expect(namesOf(routeOf(bound('a'), { role: 'scribe', cluster: 'one' }))).toEqual(['b role:scribe']);
  });
});

describe('a route', () => {
  it('a route names the epochs it used and whether it has a single recipient', () => {
    expect(routeOf(free('a'), { cluster: 'one' })).toMatchObject({
      kind: 'cluster',
      clusterId: 'one',
      epoch: 3,
      epochs: { one: 3 },
      single: false,
    });
    expect(routeOf(free('a'), { clusters: ['two', 'one'] })).toMatchObject({
      kind: 'clusters',
      clusterId: null,
      epoch: null,
      epochs: { one: 3, two: 7 },
    });
    expect(routeOf(free('b'), { role: 'chief', cluster: 'one' })).toMatchObject({
      clusterId: 'one',
      epoch: 3,
      epochs: { one: 3 },
      single: true,
    });
    expect(routeOf(free('a'), { capability: 'search' })).toMatchObject({ clusterId: null, epochs: {}, single: true });
  });

  it("a direct message belongs to the first shared cluster or, from an operator, to the recipient's only cluster", () => {
    const clusterOf = (sender: Sender, agent: string) => {
      const route = routeOf(sender, { agent });
      return route.state === 'routed' ? route.clusterId : 'refused';
    };
    expect([clusterOf(free('a'), 'b'), clusterOf(free('a'), 'd'), clusterOf(free('c'), 'd')]).toEqual([
      'one',
      null,
      'two',
    ]);
    expect([clusterOf(operator, 'b'), clusterOf(operator, 'c'), clusterOf(operator, 'x')]).toEqual(['one', null, null]);
  });

  it('a choice counts the deliveries of earlier messages in the batch', () => {
    const six = Array.from({ length: 6 }, (_, n) => ({
      id: `m${n}`,
      sender: operator,
      to: { role: 'scribe', cluster: 'one' } as const,
    }));
    const chosen = routeMessages(six, directory).flatMap((route) => (route.state === 'routed' ? route.recipients : []));
    // c has five open ones more: b gets five, and only then they are alike.
    expect(chosen.slice(0, 5).map(({ agentId }) => agentId)).toEqual(['b', 'b', 'b', 'b', 'b']);
  });
});
