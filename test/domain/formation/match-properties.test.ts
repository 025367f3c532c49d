import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFormation } from '../../../src/domain/formation/feasible.js';
import { match } from '../../../src/domain/formation/match.js';
import type { MatchRequest } from '../../../src/domain/formation/types.js';
import { agent, candidates, requests, tightRequests } from './builders.js';
import { allClusters, costOf, heldOnceOf, wholeCluster } from './oracle.js';

describe('match for arbitrary requests and fleets', () => {
  test('a match never exceeds size.max, repeats no agent and gives an agent at most one role', () => {
    fc.assert(
      fc.property(candidates(0, 30), requests(10), (fleet, request) => {
        const { members, alternates } = match(fleet, request);
        const ids = members.map(({ agentId }) => agentId);
        expect(members.length).toBeLessThanOrEqual(Math.max(0, request.size.max - request.kept.length));
        const allAgents = [...ids, ...alternates, ...request.kept.map(({ id }) => id)];
        expect(new Set(allAgents).size).toBe(allAgents.length);
        expect(alternates.length).toBeLessThanOrEqual(2 * request.size.desired);
        for (const { roles } of members) expect(roles.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 250 },
    );
  });

  test('a match passes the independent check exactly when it reports no shortfall', () => {
    fc.assert(
      fc.property(candidates(0, 30), requests(10), (fleet, request) => {
        const { members, shortfall } = match(fleet, request);
        const broken = checkFormation(wholeCluster(fleet, request, members), request);
        expect(broken.length === 0).toBe(shortfall.length === 0);
      }),
      { numRuns: 500 },
    );
  });

  test('a match covers every required capability or reports the one that is missing', () => {
    fc.assert(
      fc.property(candidates(0, 12), requests(5), (fleet, request) => {
        const { members, shortfall } = match(fleet, request);
        const cluster = wholeCluster(fleet, request, members);
        for (const token of request.requiredCapabilities) {
          const covered = cluster.some((member) => member.capabilities.includes(token));
          expect(covered || shortfall.length > 0).toBe(true);
          const usable = [...fleet, ...request.kept].some((member) => member.capabilities.includes(token));
          if (!usable) expect(shortfall).toContainEqual({ kind: 'capability', capability: token, found: 0 });
        }
      }),
      { numRuns: 250 },
    );
  });

  test('a match never breaks a hard spread', () => {
    const hard = requests(10, 0).map((request) => ({ ...request, spread: { by: 'host', mode: 'hard' } as const }));
    fc.assert(
      fc.property(candidates(0, 30), hard, (fleet, request) => {
        const { members, shortfall } = match(fleet, request);
        fc.pre(shortfall.length === 0);
        const hosts = new Map<string, number>();
        for (const { host } of wholeCluster(fleet, request, members)) {
          expect(host).not.toBeNull();
          hosts.set(host ?? '', (hosts.get(host ?? '') ?? 0) + 1);
        }
        const fullest = Math.max(...hosts.values());
        // Losing the fullest host leaves a majority; of one or two members none can be left.
        if (members.length > 2) expect(members.length - fullest).toBeGreaterThan(members.length / 2);
        else expect(fullest).toBe(1);
      }),
      { numRuns: 250 },
    );
  });

  test('a match does not depend on the order of agents or capabilities, or on duplicates', () => {
    const shuffled = candidates(0, 30).chain((fleet) =>
      fc.tuple(
        fc.constant(fleet),
        fc
          .shuffledSubarray([...fleet, ...fleet.slice(0, 3)], { minLength: fleet.length + Math.min(3, fleet.length) })
          .map((other) => other.map((one) => ({ ...one, capabilities: [...one.capabilities].reverse() }))),
      ),
    );
    fc.assert(
      fc.property(shuffled, requests(10), ([fleet, other], request) => {
        expect(match(other, request)).toEqual(match(fleet, request));
      }),
      { numRuns: 250 },
    );
  });

  test('a small match refuses exactly the unsatisfiable requests and otherwise finds the best set', () => {
    fc.assert(
      fc.property(candidates(0, 7), requests(6), (fleet, request) => {
        const { members, shortfall } = match(fleet, request);
        const possible = allClusters(fleet, request);
        expect(shortfall.length === 0).toBe(possible.length > 0);
        if (possible.length === 0) return;

        const ids = new Set(members.map(({ agentId }) => agentId));
        const chosen = fleet.filter(({ id }) => ids.has(id));
        expect(chosen.length).toBe(
          bestSize(
            possible.map((set) => set.length),
            request,
          ),
        );
        const rivals = possible.filter((set) => set.length === chosen.length);
        const heldOnce = Math.min(...rivals.map((set) => heldOnceOf(set, request)));
        expect(heldOnceOf(chosen, request)).toBe(heldOnce);
        const cost = Math.min(
          ...rivals.filter((set) => heldOnceOf(set, request) === heldOnce).map((set) => costOf(set, request)),
        );
        expect(costOf(chosen, request)).toBeCloseTo(cost, 5);
      }),
      { numRuns: 500 },
    );
  });

  test('a large match refuses exactly the unsatisfiable requests', () => {
    fc.assert(
      fc.property(candidates(3, 8), tightRequests, (fleet, request) => {
        const idle = Array.from({ length: 25 }, (_, index) => agent(`idle-${index}`, { host: `own-${index}` }));
        const { shortfall } = match([...fleet, ...idle], request);
        // Idle agents are alike: more of them than there are places change nothing but the oracle's work.
        const possible = allClusters([...fleet, ...idle.slice(0, request.size.max)], request);
        expect(shortfall.length === 0).toBe(possible.length > 0);
      }),
      { numRuns: 500 },
    );
  });
});

/** As near the desired size as possible: not above it when anything at or below is possible. Additions, not totals. */
const bestSize = (sizes: readonly number[], { size, kept }: MatchRequest): number => {
  const desired = size.desired - kept.length;
  const below = sizes.filter((count) => count <= desired);
  return below.length > 0 ? Math.max(...below) : Math.min(...sizes);
};
