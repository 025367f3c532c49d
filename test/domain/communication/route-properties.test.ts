import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Address } from '../../../src/contracts/messages.js';
import type { AccessList } from '../../../src/contracts/topics.js';
import { routeMessages } from '../../../src/domain/communication/route-messages.js';
import type { Directory, RoutableMessage, Route } from '../../../src/domain/communication/routing.js';
import { isTopicAllowed } from '../../../src/domain/communication/topic-access.js';

const agentIds = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
const clusterIds = ['one', 'two', 'three'];
const topicNames = ['news', 'jobs'];
const agentId = fc.constantFrom(...agentIds);
const role = fc.constantFrom('chief', 'scribe');
const list: fc.Arbitrary<AccessList | null> = fc.option(
  fc.record({ agents: fc.subarray(agentIds), clusters: fc.subarray(clusterIds) }),
  { freq: 2 },
);

const directory: fc.Arbitrary<Directory> = fc
  .record({
    clusters: fc.dictionary(
      fc.constantFrom(...clusterIds),
      fc.record({
        epoch: fc.integer({ min: 1, max: 9 }),
        members: fc.uniqueArray(fc.record({ agentId, roles: fc.uniqueArray(role) }), {
          selector: (one) => one.agentId,
        }),
      }),
    ),
    agents: fc.uniqueArray(
      fc.record({ agentId, status: fc.constantFrom('live', 'unready', 'lapsed', 'left'), open: fc.nat(9) }),
      { selector: (one) => one.agentId },
    ),
    capabilities: fc.dictionary(fc.constantFrom('search', 'write'), fc.subarray(agentIds)),
    topics: fc.dictionary(
      fc.constantFrom(...topicNames),
      fc.record({
        state: fc.constantFrom('open', 'open', 'open', 'draining'),
        keeps: fc.boolean(),
        publish: list,
        subscribe: list,
        subscriptions: fc.array(fc.record({ agentId, queueGroup: fc.constantFrom(null, null, 'g', 'h') }), {
          maxLength: 10,
        }),
      }),
    ),
  })
  .map(({ clusters, agents, capabilities, topics }) => ({
    clusters: new Map(Object.entries(clusters)),
    agents: new Map(agents.map((one) => [one.agentId, one])),
    capabilities: new Map(Object.entries(capabilities)),
    topics: new Map(Object.entries(topics)),
    clustersOf: new Map(
      agentIds.map((id) => {
        const own = Object.entries(clusters).filter(([, { members }]) => members.some((one) => one.agentId === id));
        return [id, own.map(([clusterId]) => clusterId)];
      }),
    ),
  }));

const cluster = fc.constantFrom(...clusterIds, 'closed');
const address: fc.Arbitrary<Address> = fc.oneof(
  fc.record({ agent: fc.oneof(agentId, fc.constant('stranger')) }),
  fc.record({ role, cluster }),
  fc.record({ capability: fc.constantFrom('search', 'write', 'fly') }),
  fc.record({ capability: fc.constantFrom('search', 'write', 'fly'), cluster }),
  fc.record({ cluster }),
  fc.record({ clusters: fc.array(cluster, { minLength: 1, maxLength: 4 }) }),
  fc.constant({ allClusters: true as const }),
  fc.record({ topic: fc.constantFrom(...topicNames, 'none') }),
);
const message: fc.Arbitrary<RoutableMessage> = fc.record({
  id: fc.stringMatching(/^[a-z0-9]{1,8}$/),
  sender: fc.record({ agentId: fc.option(agentId, { freq: 5 }), reach: fc.constantFrom('cluster', 'fleet') }),
  to: address,
});
const messages = fc.array(message, { minLength: 1, maxLength: 8 });

const routed = (route: Route) => (route.state === 'routed' ? route : undefined);
const each = (check: (message: RoutableMessage, route: Route, known: Directory) => void): void => {
  fc.assert(
    fc.property(messages, directory, (all, known) => {
      const routes = routeMessages(all, known);
      expect(routes).toHaveLength(all.length);
      for (const [index, one] of all.entries()) check(one, routes[index] as Route, known);
    }),
    { numRuns: 200 },
  );
};
const namesOf = (route: Route): string[] =>
  routed(route)
    ?.recipients.map((one) => one.agentId)
    .sort() ?? [];
const membersOf = (known: Directory, id: string): string[] =>
  known.clusters.get(id)?.members.map((one) => one.agentId) ?? [];

/** The same directory, with every list and every map the other way round. */
const turned = (known: Directory): Directory => ({
  clusters: new Map(
    [...known.clusters].reverse().map(([id, table]) => [id, { ...table, members: [...table.members].reverse() }]),
  ),
  agents: new Map([...known.agents].reverse()),
  capabilities: new Map([...known.capabilities].reverse().map(([name, ids]) => [name, [...ids].reverse()])),
  topics: new Map(
    [...known.topics]
      .reverse()
      .map(([name, one]) => [name, { ...one, subscriptions: [...one.subscriptions].reverse() }]),
  ),
  clustersOf: new Map([...known.clustersOf].reverse().map(([id, own]) => [id, [...own].reverse()])),
});

describe('routeMessages for arbitrary messages and senders', () => {
  it("routing does not depend on the directory's order", () => {
    fc.assert(
      fc.property(messages, directory, (all, known) => {
        const routes = routeMessages(all, known);
        expect(routeMessages(all, known)).toEqual(routes);
        const bySorting = (list: readonly Route[]) =>
          list.map((route) => ({
            ...route,
            recipients: [...(routed(route)?.recipients ?? [])].sort((a, b) => (a.agentId < b.agentId ? -1 : 1)),
          }));
        expect(bySorting(routeMessages(all, turned(known)))).toEqual(bySorting(routes));
      }),
      { numRuns: 200 },
    );
  });

  it('no recipient gets a message twice, and a sender gets its own only when it addresses itself', () => {
    each(({ sender, to }, route) => {
      const names = namesOf(route);
      expect(new Set(names).size).toBe(names.length);
      if (!('agent' in to) && sender.agentId !== null) expect(names).not.toContain(sender.agentId);
    });
  });

  it('every message is refused, delivered, retained or dead-lettered with a reason', () => {
    each((_message, route) => {
      if (route.state === 'refused') expect(route.detail).toMatch(/\w/);
      else expect(route.recipients.length > 0 || route.retain === true).toBe(route.dead === undefined);
    });
  });

  it('a cluster message reaches every member except the sender, by the epoch it names', () => {
    each(({ sender, to }, route, known) => {
      const found = routed(route);
      if (!found || !('cluster' in to || 'clusters' in to || 'allClusters' in to) || 'role' in to || 'capability' in to)
        return;
      const asked =
        'cluster' in to ? [to.cluster as string] : 'clusters' in to ? to.clusters : [...known.clusters.keys()];
      if (asked.some((id) => !known.clusters.has(id))) {
        expect(found).toMatchObject({ recipients: [], dead: { reason: 'unknown_cluster' } });
        return;
      }
      const expected = new Set(asked.flatMap((id) => membersOf(known, id)).filter((id) => id !== sender.agentId));
      expect(namesOf(route)).toEqual([...expected].sort());
      expect(found.epochs).toEqual(Object.fromEntries(asked.map((id) => [id, known.clusters.get(id)?.epoch])));
    });
  });

  it('a topic message reaches every plain subscriber and one member of each queue group', () => {
    each(({ sender, to }, route, known) => {
      const found = routed(route);
      const topic = 'topic' in to ? known.topics.get(to.topic) : undefined;
      if (!found || topic?.state !== 'open') return;
      const allowed = topic.subscriptions.filter(
        (one) => one.agentId !== sender.agentId && isTopicAllowed(topic.subscribe, one.agentId, known.clustersOf),
      );
      const of = (group: string | null) =>
        allowed.filter(({ queueGroup }) => queueGroup === group).map((one) => one.agentId);
      const by = (via: string) =>
        found.recipients
          .filter((one) => one.via === via)
          .map((one) => one.agentId)
          .sort();
      expect(by('subscriber')).toEqual([...new Set(of(null))].sort());
      for (const group of ['g', 'h']) {
        const chosen = by(`group:${group}`);
        expect(chosen.length).toBeLessThanOrEqual(1);
        const able = of(group).filter((id) => (known.agents.get(id)?.status ?? 'left') !== 'left');
        if (chosen[0] !== undefined) expect(able).toContain(chosen[0]);
        // None only when there is nobody, or when it fell on one who gets the message anyhow.
        else expect(able.length === 0 || able.some((id) => namesOf(route).includes(id))).toBe(true);
      }
      expect(found.recipients.length).toBe(by('subscriber').length + by('group:g').length + by('group:h').length);
    });
  });

  it('a role or capability message goes to one holder with the best status', () => {
    const rank = { live: 0, unready: 1, lapsed: 2, left: 3 };
    each(({ sender, to }, route, known) => {
      const found = routed(route);
      if (!found || !('role' in to || 'capability' in to)) return;
      if (found.recipients.length > 0) expect(found.single).toBe(true);
      const members = to.cluster === undefined ? undefined : known.clusters.get(to.cluster)?.members;
      const named =
        'role' in to
          ? (members ?? []).filter(({ roles }) => roles.includes(to.role)).map((one) => one.agentId)
          : (known.capabilities.get(to.capability) ?? []).filter(
              (id) => to.cluster === undefined || members?.some((one) => one.agentId === id),
            );
      const ranks = named
        .filter((id) => id !== sender.agentId)
        .flatMap((id) => (known.agents.has(id) ? [{ id, rank: rank[known.agents.get(id)?.status ?? 'left'] }] : []))
        .filter((one) => one.rank < 3);
      const best = Math.min(...ranks.map((one) => one.rank));
      expect(found.recipients).toHaveLength(ranks.length > 0 ? 1 : 0);
      const [chosen] = found.recipients;
      if (chosen) expect(ranks.find(({ id }) => id === chosen.agentId)?.rank).toBe(best);
    });
  });

  it('an agent limited to its clusters reaches other agents only by topics', () => {
    each(({ sender, to }, route, known) => {
      if (sender.agentId === null || sender.reach === 'fleet' || 'topic' in to) return;
      const own = known.clustersOf.get(sender.agentId) ?? [];
      const near = new Set([sender.agentId, ...own.flatMap((id) => membersOf(known, id))]);
      for (const name of namesOf(route)) expect([...near]).toContain(name);
    });
  });

  it("an operator's message is never refused", () => {
    each(({ sender }, route) => {
      expect(sender.agentId === null ? route.state : 'routed').toBe('routed');
    });
  });
});
