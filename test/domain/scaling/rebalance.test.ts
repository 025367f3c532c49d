import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { planMoves, type BalancedCluster, type RebalanceState } from '../../../src/domain/scaling/rebalance.js';
import type { ScalingMember } from '../../../src/domain/scaling/types.js';
import { member, rule } from './builders.js';

const cluster = (
  id: string,
  count: number,
  usedSlots: number,
  over: Partial<BalancedCluster> = {},
): BalancedCluster => ({
  id,
  rule: rule({ size: { min: 2, desired: 3, max: 10 } }),
  members: Array.from({ length: count }, (_, index) => member(`${id}-${index}`, null)),
  used: { slots: usedSlots },
  changesLeft: 4,
  ...over,
});
const plan = (clusters: BalancedCluster[], over: Partial<Parameters<typeof planMoves>[0]> = {}) =>
  planMoves({ clusters, previous: null, ...over });

describe('a rebalancing move', () => {
  test('a move goes from the least to the most used cluster and reports its gain', () => {
    // full: 12 of 12; idle: 4 of 16. After: 12 of 16 = .75, 4 of 12 = .33; gain 1 - .75 / 1
    const { moves, stopped } = plan([cluster('full', 3, 12), cluster('half', 4, 8), cluster('idle', 4, 4)]);
    expect(moves).toEqual([
      {
        agentId: 'idle-0',
        from: 'idle',
        to: 'full',
        giver: { before: 0.25, after: 0.3333 },
        taker: { before: 1, after: 0.75 },
        gain: 0.25,
      },
    ]);
    expect(stopped).toBe(false);
  });

  test.each<[string, BalancedCluster[]]>([
    ['nobody is full', [cluster('a', 3, 7.8), cluster('b', 4, 0)]],
    // .8 and 13 of 16: after 13 of 12 the giver would be fuller
    ['it would only turn the tables', [cluster('a', 3, 12), cluster('b', 3, 8)]],
    ['the full one is at its maximum', [cluster('a', 10, 40), cluster('b', 4, 0)]],
    ['the idle one is at its minimum', [cluster('a', 3, 12), cluster('b', 2, 0)]],
    ['a flap budget is spent', [cluster('a', 3, 12), cluster('b', 4, 0, { changesLeft: 0 })]],
    ['there is only one cluster', [cluster('a', 3, 12)]],
    ['there are none', []],
  ])('is not made when %s', (_when, clusters) => {
    expect(plan(clusters).moves).toEqual([]);
  });

  test('a move needs a gain of 5 %', () => {
    const small = (slots: number) =>
      cluster('b', 4, 0, {
        members: Array.from({ length: 4 }, (_, i) => member(`b-${i}`, null, { offers: { slots } })),
      });
    // 76 of 76 used, 4 more: 76 / 80 = .95
    const full = cluster('a', 0, 76, {
      members: Array.from({ length: 4 }, (_, i) => member(`a-${i}`, null, { offers: { slots: 19 } })),
    });
    expect(plan([full, small(4)]).moves).toMatchObject([{ gain: 0.05 }]);
    expect(plan([full, small(3.9)]).moves).toEqual([]);
  });

  test('a move takes only allowed, ready members that the taker does not have', () => {
    const full = cluster('full', 3, 12);
    const idle = cluster('idle', 4, 0);
    const mayMove = (agentId: string, clusterId: string) => agentId === 'idle-2' && clusterId === 'full';
    expect(plan([full, idle], { mayMove }).moves).toMatchObject([{ agentId: 'idle-2' }]);
    const ill = { ...idle, members: idle.members.map((one): ScalingMember => ({ ...one, ready: false })) };
    expect(plan([full, ill]).moves).toEqual([]);
    const shared = { ...idle, members: full.members };
    expect(plan([full, { ...shared, members: [...full.members, member('own', null)] }]).moves).toMatchObject([
      { agentId: 'own' },
    ]);
  });

  test('a move never breaks a hard spread', () => {
    const spread = { by: 'host', mode: 'hard' } as const;
    const on = (id: string, hosts: string[], used: number) =>
      cluster(id, 0, used, {
        rule: rule({ size: { min: 2, desired: 3, max: 10 }, spread }),
        members: hosts.map((host, index) => member(`${id}-${index}`, null, { host })),
      });
    const idle = on('idle', ['h1', 'h2', 'h3', 'h4'], 0);
    expect(plan([on('full', ['h1', 'h2', 'h3'], 12), idle]).moves).toMatchObject([{ agentId: 'idle-3' }]);
    expect(
      plan([on('full', ['h1', 'h2', 'h3', 'h4'], 16), on('idle', ['h1', 'h1', 'h2', 'h3', 'h2'], 0)]).moves,
    ).toEqual([]);
  });
});

describe('a rebalancing round', () => {
  test('a round moves at most a tenth of all members and uses each cluster once', () => {
    const clusters = Array.from({ length: 20 }, (_, index) => cluster(`c${index}`, 4, index < 10 ? 16 : 0));
    const { moves } = plan(clusters);
    expect(moves).toHaveLength(8); // of 80
    expect(new Set(moves.flatMap(({ from, to }) => [from, to])).size).toBe(16);
  });

  test('after three stale rounds no member moves until usage changes', () => {
    const clusters = [cluster('full', 3, 12), cluster('idle', 4, 4)];
    let state: RebalanceState | null = null;
    const rounds = Array.from({ length: 6 }, () => {
      const round = planMoves({ clusters, previous: state });
      state = round.state;
      return round;
    });
    expect(rounds.map(({ moves }) => moves.length)).toEqual([1, 1, 1, 1, 0, 0]);
    expect(rounds.map(({ stopped }) => stopped)).toEqual([false, false, false, false, true, true]);
    const changed = planMoves({ clusters: [cluster('full', 3, 12), cluster('idle', 4, 0)], previous: state });
    expect(changed).toMatchObject({ stopped: false, moves: [{ from: 'idle' }], state: { staleRounds: 0 } });
  });

  test('rebalancing ends under a constant load and never raises the highest usage', () => {
    const fleet = fc.array(fc.tuple(fc.integer({ min: 2, max: 8 }), fc.integer({ min: 0, max: 40 })), {
      minLength: 2,
      maxLength: 12,
    });
    let moved = 0;
    fc.assert(
      fc.property(fleet, (all) => {
        let clusters = all.map(([count, used], index) => cluster(`c${index}`, count, used));
        const usageOf = (one: BalancedCluster) => (one.used['slots'] ?? 0) / (4 * one.members.length);
        let rounds = 0;
        for (; rounds < 200; rounds += 1) {
          const { moves } = plan(clusters);
          if (moves.length === 0) break;
          moved += moves.length;
          const highest = Math.max(...clusters.map(usageOf));
          for (const { agentId, from, to, gain } of moves) {
            expect(gain).toBeGreaterThanOrEqual(0.05);
            const leaver = clusters.find(({ id }) => id === from)?.members.find(({ id }) => id === agentId);
            if (!leaver) throw new Error(`${agentId} is not in ${from}`);
            clusters = clusters.map((one) => {
              if (one.id === from) return { ...one, members: one.members.filter((other) => other !== leaver) };
              return one.id === to ? { ...one, members: [...one.members, leaver] } : one;
            });
          }
          expect(Math.max(...clusters.map(usageOf))).toBeLessThanOrEqual(highest);
          const counts = clusters.map(({ members }) => members.length);
          expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);
          expect(Math.max(...counts)).toBeLessThanOrEqual(10);
        }
        expect(rounds).toBeLessThan(200);
      }),
      { numRuns: 40 },
    );
    expect(moved).toBeGreaterThan(40);
  });
});
