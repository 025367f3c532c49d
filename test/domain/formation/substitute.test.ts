import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkFormation } from '../../../src/domain/formation/feasible.js';
import { match } from '../../../src/domain/formation/match.js';
import { substitute } from '../../../src/domain/formation/substitute.js';
import { agent, candidates, placed, request, requests } from './builders.js';
import { wholeCluster } from './oracle.js';

describe('substitute', () => {
  const lead = { name: 'lead', capability: 'plan', min: 1, max: 1 };
  const members = [
    placed('a', { host: 'h1', capabilities: ['plan'], roles: ['lead'] }),
    placed('b', { host: 'h2', capabilities: ['ocr'] }),
    placed('c', { host: 'h3' }),
  ];
  const asked = request({
    requiredCapabilities: ['ocr'],
    roles: [lead],
    size: { min: 3, desired: 3, max: 3 },
    spread: { by: 'host', mode: 'hard' },
  });
  const alternates = [
    agent('x', { host: 'h4' }),
    agent('p1', { host: 'h2', capabilities: ['plan'] }),
    agent('p2', { host: 'h5', capabilities: ['plan', 'ocr'] }),
  ];

  test.each([
    ['a', [], { agentId: 'p2', roles: ['lead'] }], // x cannot lead; p1 can, but shares h2 with b
    ['b', [], { agentId: 'p2', roles: [] }], // only p2 has ocr
    ['c', [], { agentId: 'x', roles: [] }], // anybody will do
    ['c', ['x'], { agentId: 'p2', roles: [] }], // x declined, p1 shares h2
    ['b', ['p2'], null],
  ])('for %s, when %j have declined, is %j', (lost, declined, expected) => {
    expect(substitute({ lost, members, alternates, request: asked, declined })).toEqual(expected);
  });

  test('substitute skips alternates that are members already', () => {
    const inside = [agent('b', { host: 'h9', capabilities: ['plan'] })];
    expect(substitute({ lost: 'a', members, alternates: inside, request: asked, declined: [] })).toBeNull();
  });

  test('substitute replaces one of two lost members while the other is still missing', () => {
    // b is gone without a replacement: ocr is missing and there are 2 of 3. x mends neither, and makes neither worse.
    const left = members.filter(({ id }) => id !== 'b');
    expect(substitute({ lost: 'c', members: left, alternates, request: asked, declined: [] })).toEqual({
      agentId: 'x',
      roles: [],
    });
  });

  test('substitute keeps a feasible cluster feasible whichever member is lost', () => {
    let found = 0;
    fc.assert(
      fc.property(candidates(2, 15), requests(6), fc.nat(), (fleet, ask, pick) => {
        const answer = match(fleet, ask);
        fc.pre(answer.shortfall.length === 0 && answer.members.length > 0);
        const whole = wholeCluster(fleet, ask, answer.members);
        const lost = answer.members[pick % answer.members.length]?.agentId ?? '';
        const ranked = answer.alternates.flatMap((id) => fleet.filter((one) => one.id === id));
        const next = substitute({ lost, members: whole, alternates: ranked, request: ask, declined: [] });
        if (!next) return;
        found += 1;
        expect(answer.alternates).toContain(next.agentId);
        const after = wholeCluster(fleet, ask, [...answer.members.filter(({ agentId }) => agentId !== lost), next]);
        expect(checkFormation(after, ask)).toEqual([]);
      }),
      { numRuns: 200 },
    );
    expect(found).toBeGreaterThan(0);
  });
});
