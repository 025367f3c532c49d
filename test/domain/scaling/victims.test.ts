import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFormation } from '../../../src/domain/formation/feasible.js';
import { majority } from '../../../src/domain/formation/quorum.js';
import { chooseVictims, type Victim } from '../../../src/domain/scaling/victims.js';
import { rule } from './builders.js';

const one = (id: string, over: Partial<Victim> = {}): Victim => ({
  id,
  host: null,
  zone: null,
  capabilities: [],
  roles: [],
  ready: true,
  joinedAtMs: 0,
  ...over,
});

describe('the order of victims', () => {
  const free = rule({ size: { min: 1, desired: 3, max: 10 }, requiredCapabilities: ['ocr', 'plan'] });

  test('victims are unhealthy first, then least unique, then on a shared host, then newest', () => {
    const members = [
      one('planner', { capabilities: ['plan'], joinedAtMs: 9 }),
      one('planner2', { capabilities: ['plan'], joinedAtMs: 9 }),
      one('reader1', { capabilities: ['ocr'], host: 'h1' }),
      one('reader2', { capabilities: ['ocr'], host: 'h2', joinedAtMs: 9 }),
      one('reader3', { capabilities: ['ocr'], host: 'h1', joinedAtMs: 2 }),
      one('ill', { capabilities: ['ocr', 'plan'], ready: false }),
      one('idle', { capabilities: ['juggle'] }),
    ];
    // ill; idle does nothing that is needed; readers 1 and 3 share a host, 3 is newer (2, alone, is newer still); then readers and planners are two
    // each and live alone, and the newest goes.
    expect(chooseVictims({ members, rule: free, count: 4 }).ids).toEqual(['ill', 'idle', 'reader3', 'planner']);
  });

  test('uniqueness is recounted after each victim', () => {
    const members = ['a', 'b', 'c'].map((id) => one(id, { capabilities: ['ocr'] }));
    const both = [...members, one('d', { capabilities: ['plan'] }), one('e', { capabilities: ['plan'] })];
    expect(chooseVictims({ members: both, rule: free, count: 4 })).toEqual({
      ids: ['a', 'b', 'd'],
      refused: ['coverage: no other member has "ocr"', 'coverage: no other member has "plan"'],
    });
  });

  test('only eligible members are chosen, but all count toward the rules', () => {
    const members = ['a', 'b', 'c'].map((id) => one(id));
    const chosen = chooseVictims({ members, rule: free, count: 2, eligible: (id) => id === 'c' });
    expect(chosen.ids).toEqual(['c']);
  });
});

describe('refused victims', () => {
  test('no member leaves below the minimum', () => {
    const members = ['a', 'b', 'c'].map((id) => one(id));
    expect(chooseVictims({ members, rule: rule(), count: 1 })).toEqual({
      ids: [],
      refused: ['minimum: 2 would remain, at least 3 are required'],
    });
  });

  test("the last holder of a role's minimum does not leave", () => {
    const lead = { name: 'lead', capability: 'plan', min: 1, max: 1 };
    const members = [
      one('a', { capabilities: ['plan'], roles: ['lead'], ready: false }),
      ...['b', 'c', 'd'].map((id) => one(id)),
    ];
    const chosen = chooseVictims({ members, rule: rule({ roles: [lead] }), count: 1 });
    expect(chosen.ids).toEqual(['b']);
  });

  test('no member leaves when a hard spread would break', () => {
    const members = ['h1', 'h1', 'h2', 'h2', 'h3'].map((host, index) => one(`m${index}`, { host }));
    const hard = rule({ spread: { by: 'host', mode: 'hard' } });
    expect(chooseVictims({ members, rule: hard, count: 1 })).toEqual({
      ids: [],
      refused: ['spread: of 4 members at most 1 may share a host'],
    });
    const soft = rule({ spread: { by: 'host', mode: 'soft' } });
    expect(chooseVictims({ members, rule: soft, count: 1 }).ids).toEqual(['m0']);
  });

  test('no ready member leaves when no ready majority would remain', () => {
    const members = ['a', 'b', 'c', 'd', 'e'].map((id) => one(id, { ready: id < 'd' }));
    const lead = { name: 'lead', capability: 'plan', min: 2, max: 5 };
    const held = members.map((m) => (m.ready ? m : { ...m, capabilities: ['plan'], roles: ['lead'] }));
    // The two that are down hold a role, so only a ready one could go: 2 of 4 is no majority.
    expect(chooseVictims({ members: held, rule: rule({ roles: [lead] }), count: 1 })).toEqual({
      ids: [],
      refused: ['quorum: 2 of 4 would be ready, a majority is 3', 'role: "lead" would have 1 of at least 2'],
    });
  });
});

test('a broken rule blocks only a removal that makes it worse', () => {
  const members = ['a', 'b', 'c', 'd'].map((id) => one(id));
  const broken = rule({ requiredCapabilities: ['nobody'], roles: [{ name: 'lead', capability: 'x', min: 1, max: 1 }] });
  expect(chooseVictims({ members, rule: broken, count: 1 }).ids).toEqual(['a']);
});

test('no removal makes a rule worse in an arbitrary cluster', () => {
  const skills = ['ocr', 'plan', 'speak'] as const;
  const members = fc
    .array(
      fc.record({
        host: fc.constantFrom('h1', 'h2', 'h3', null),
        capabilities: fc.uniqueArray(fc.constantFrom(...skills), { maxLength: 2 }),
        lead: fc.boolean(),
        ready: fc.boolean(),
        joinedAtMs: fc.nat(5),
      }),
      { minLength: 1, maxLength: 9 },
    )
    .map((all) =>
      all.map(({ lead, ...rest }, index) =>
        one(`m${index}`, { ...rest, roles: lead && rest.capabilities.includes('plan') ? ['lead'] : [] }),
      ),
    );
  const rules = fc
    .record({
      requiredCapabilities: fc.uniqueArray(fc.constantFrom(...skills)),
      min: fc.integer({ min: 1, max: 4 }),
      spread: fc.constantFrom(null, { by: 'host', mode: 'hard' } as const),
    })
    .map(({ min, ...rest }) =>
      rule({
        ...rest,
        size: { min, desired: min, max: 9 },
        roles: [{ name: 'lead', capability: 'plan', min: 1, max: 9 }],
      }),
    );
  let left = 0;
  fc.assert(
    fc.property(members, rules, fc.integer({ min: 1, max: 9 }), (all, theRule, count) => {
      const { ids, refused } = chooseVictims({ members: all, rule: theRule, count });
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids.length).toBeLessThanOrEqual(count);
      if (ids.length < Math.min(count, all.length)) expect(refused.length).toBeGreaterThan(0);
      let staying = all;
      for (const id of ids) {
        const before = checkFormation(staying, theRule).map(({ kind }) => kind);
        const leaver = staying.find((m) => m.id === id);
        staying = staying.filter((m) => m.id !== id);
        left += 1;
        expect(staying.length).toBeGreaterThanOrEqual(theRule.size.min);
        for (const { kind } of checkFormation(staying, theRule)) expect(before).toContain(kind);
        if (leaver?.ready) {
          expect(staying.filter(({ ready }) => ready).length).toBeGreaterThanOrEqual(majority(staying.length));
        }
      }
    }),
    { numRuns: 500 },
  );
  expect(left).toBeGreaterThan(100);
});
