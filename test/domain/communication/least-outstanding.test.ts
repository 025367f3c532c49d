import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leastOutstandingOfTwo, type Candidate } from '../../../src/domain/communication/least-outstanding.js';

const better = ['live', 'unready', 'lapsed', 'left'] as const;
const candidates = fc.uniqueArray(
  fc.record<Candidate>({
    agentId: fc.oneof(fc.stringMatching(/^[a-z]{1,5}$/), fc.string({ minLength: 1, maxLength: 4 })),
    status: fc.constantFrom(...better),
    open: fc.nat(20),
  }),
  { selector: ({ agentId }) => agentId, maxLength: 12 },
);
const live = (agentId: string, open: number): Candidate => ({ agentId, status: 'live', open });

describe('leastOutstandingOfTwo', () => {
  it('no candidate is chosen from none, and an agent that left is never chosen', () => {
    expect(leastOutstandingOfTwo([], 'd')).toBeUndefined();
    expect(leastOutstandingOfTwo([{ agentId: 'a', status: 'left', open: 0 }], 'd')).toBeUndefined();
  });

  it('an agent with a better status is chosen whatever its open deliveries', () => {
    const all: Candidate[] = [
      { agentId: 'lapsed', status: 'lapsed', open: 0 },
      { agentId: 'unready', status: 'unready', open: 5 },
      { agentId: 'live', status: 'live', open: 900 },
    ];
    expect(leastOutstandingOfTwo(all, 'd')?.agentId).toBe('live');
    expect(leastOutstandingOfTwo(all.slice(0, 2), 'd')?.agentId).toBe('unready');
    expect(leastOutstandingOfTwo(all.slice(0, 1), 'd')?.agentId).toBe('lapsed');
  });

  it('of two candidates the one with fewer open deliveries is chosen', () => {
    fc.assert(
      fc.property(
        fc.nat(50),
        fc.integer({ min: 1, max: 50 }),
        fc.string(),
        fc.boolean(),
        (less, more, draw, turned) => {
          const both = [live('a', less + (turned ? more : 0)), live('b', less + (turned ? 0 : more))];
          expect(leastOutstandingOfTwo(both, draw)?.agentId).toBe(turned ? 'b' : 'a');
        },
      ),
    );
  });

  it("the choice has the best status present and does not depend on the candidates' order", () => {
    fc.assert(
      fc.property(candidates, fc.string(), fc.infiniteStream(fc.nat()), (all, draw, noise) => {
        const chosen = leastOutstandingOfTwo(all, draw);
        const best = better.find((status) => status !== 'left' && all.some((one) => one.status === status));
        expect(chosen?.status).toBe(best);
        if (chosen) expect(all).toContainEqual(chosen);
        const shuffled = all
          .map((one) => ({ one, place: noise.next().value ?? 0 }))
          .sort((a, b) => a.place - b.place)
          .map(({ one }) => one);
        expect(leastOutstandingOfTwo(shuffled, draw)).toEqual(chosen);
        expect(leastOutstandingOfTwo(all, draw)).toEqual(chosen);
      }),
    );
  });

  it('the candidate with the most open deliveries is never chosen when another has fewer', () => {
    fc.assert(
      fc.property(candidates, fc.string(), (all, draw) => {
        const chosen = leastOutstandingOfTwo(all, draw);
        if (!chosen) return;
        const peers = all.filter(({ status }) => status === chosen.status);
        const others = peers.filter(({ agentId }) => agentId !== chosen.agentId);
        expect(others.length > 0 && others.every(({ open }) => open < chosen.open)).toBe(false);
      }),
    );
  });

  it('draws spread evenly over equal candidates', () => {
    const all = Array.from({ length: 10 }, (_, index) => live(`agent-${index}`, 0));
    const counts = new Map<string, number>();
    for (let draw = 0; draw < 5000; draw += 1) {
      const { agentId } = leastOutstandingOfTwo(all, `message-${draw}`) as Candidate;
      counts.set(agentId, (counts.get(agentId) ?? 0) + 1);
    }
    expect(counts.size).toBe(10);
    // 500 each; a fair draw is beyond 100 of it once in a million.
    for (const count of counts.values()) expect(Math.abs(count - 500)).toBeLessThan(110);
  });

  it('two choices keep queues far more even than a single draw', () => {
    const open = new Map(Array.from({ length: 20 }, (_, index) => [`agent-${index}`, 0]));
    for (let draw = 0; draw < 4000; draw += 1) {
      const { agentId } = leastOutstandingOfTwo(
        [...open].map(([id, count]) => live(id, count)),
        `m-${draw}`,
      ) as Candidate;
      open.set(agentId, (open.get(agentId) ?? 0) + 1);
    }
    // 200 each on average; a single draw of 4,000 into 20 would be 40 above it.
    expect(Math.max(...open.values()) - 200).toBeLessThan(8);
  });
});
