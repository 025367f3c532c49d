import { describe, expect, test } from 'vitest';
import { match } from '../../../src/domain/formation/match.js';
import { agent, request } from './builders.js';

const idsOf = (answer: ReturnType<typeof match>): string[] => answer.members.map(({ agentId }) => agentId).sort();

describe('match, by hand-worked examples', () => {
  test('match holds a capability twice before it saves cost', () => {
    // a{x} .34*.1 = .034, b{y} .34*.1 = .034, c{x,y} .34*.5 = .170
    // a+b costs .068 and holds x and y once each. a+c costs .204 and holds x twice, b+c the same with y: one of these.
    const fleet = [
      agent('a', { capabilities: ['x'], load: 0.1 }),
      agent('b', { capabilities: ['y'], load: 0.1 }),
      agent('c', { capabilities: ['x', 'y'], load: 0.5 }),
    ];
    const answer = match(fleet, request({ requiredCapabilities: ['x', 'y'], size: { min: 2, desired: 2, max: 2 } }));
    expect(answer.shortfall).toEqual([]);
    expect(idsOf(answer)).toContain('c');
    // With three members allAgents is in: x = {a, c}, y = {b, c}.
    const three = match(fleet, request({ requiredCapabilities: ['x', 'y'], size: { min: 2, desired: 3, max: 3 } }));
    expect(idsOf(three)).toEqual(['a', 'b', 'c']);
  });

  test('match weighs load, usage and cluster share by .34, .33, .33 and each flap by .10', () => {
    // busy .34*.5 = .170   used .33*.5 = .165   shared .33*.5 = .165   flapped .10*2 = .200   fresh .34*.4 = .136
    const fleet = [
      agent('busy', { load: 0.5 }),
      agent('used', { usageRatio: 0.5 }),
      agent('shared', { clusterRatio: 0.5 }),
      agent('flapped', { recentFlaps: 2 }),
      agent('fresh', { load: 0.4 }),
    ];
    const answer = match(fleet, request({ size: { min: 1, desired: 3, max: 3 } }));
    expect(idsOf(answer)).toEqual(['fresh', 'shared', 'used']);
    expect(answer.alternates).toEqual(['busy', 'flapped']);
  });

  test('a soft spread shares a host when that costs less than another host', () => {
    // On one host: a 0 + b .05*.34 = .017 + .15 for sharing = .167. Elsewhere: c .34*.4 = .136 < .167, d .34*.6 = .204 > .167
    const fleet = [
      agent('a', { host: 'h1' }),
      agent('b', { host: 'h1', load: 0.05 }),
      agent('c', { host: 'h2', load: 0.4 }),
      agent('d', { host: 'h3', load: 0.6 }),
    ];
    const soft = request({ size: { min: 2, desired: 2, max: 3 }, spread: { by: 'host', mode: 'soft' } });
    expect(idsOf(match(fleet, soft))).toEqual(['a', 'c']);
    const three = { ...soft, size: { min: 2, desired: 3, max: 3 } };
    expect(idsOf(match(fleet, three))).toEqual(['a', 'b', 'c']);
    // Without a spread the host costs nothing: b .017 < c .136.
    expect(idsOf(match(fleet, { ...soft, spread: null }))).toEqual(['a', 'b']);
  });

  test('an agent without a host shares none under a soft spread', () => {
    // b and c name none: 0 + 0. a with d on h1 would pay .15.
    const fleet = [agent('a', { host: 'h1' }), agent('b'), agent('c'), agent('d', { host: 'h1' })];
    const answer = match(fleet, request({ spread: { by: 'host', mode: 'soft' } }));
    expect(idsOf(answer)).toEqual(expect.arrayContaining(['b', 'c']));
  });

  describe('hard spread', () => {
    const on = (...hosts: string[]) => hosts.map((host, index) => agent(`a${index}`, { host }));
    const hard = (min: number, desired: number, max: number) =>
      request({ size: { min, desired, max }, spread: { by: 'host', mode: 'hard' } });

    test.each([
      // hosts of the fleet, min, desired, max -> members. Allowed on one host: 1 of 3, 1 of 4, 2 of 5, 2 of 6, 3 of 7.
      [['h1', 'h1', 'h2', 'h2', 'h3'], 3, 5, 7, 5], // 2+2+1 = 5
      [['h1', 'h1', 'h2', 'h2', 'h3'], 3, 4, 7, 3], // 4 needs 4 hosts: shrinks to 1+1+1
      [['h1', 'h1', 'h2', 'h2', 'h3'], 4, 4, 7, 5], // may not shrink, so grows: 2+2+1
      [['h1', 'h1', 'h1', 'h2', 'h3'], 3, 5, 7, 3], // 2+1+1 = 4 < 5, and 1+1+1 = 3 < 4
      [['h1', 'h1', 'h1', 'h2', 'h2', 'h2', 'h3'], 3, 7, 7, 7], // 3+3+1 = 7
      [['h1', 'h1'], 1, 2, 2, 1], // one host can never hold two
      [['h1', 'h2'], 1, 2, 2, 2],
    ])('%j with size %i, %i, %i gives %i members', (hosts, min, desired, max, count) => {
      const answer = match(on(...hosts), hard(min, desired, max));
      expect(answer.shortfall).toEqual([]);
      expect(answer.members).toHaveLength(count);
    });

    test('a hard spread refuses two hosts for three members and reports what could be placed', () => {
      const answer = match(on('h1', 'h1', 'h2', 'h2', 'h2'), hard(3, 3, 3));
      expect(answer.shortfall).toEqual([
        { kind: 'spread', by: 'host', needed: 3, allowedPerGroup: 1, placeable: 2, unknown: 0 },
      ]);
    });

    test('a hard spread counts agents without a host as unknown, not as missing', () => {
      const answer = match([...on('h1', 'h2'), agent('n1'), agent('n2')], hard(3, 3, 3));
      expect(answer.shortfall).toEqual([
        { kind: 'spread', by: 'host', needed: 3, allowedPerGroup: 1, placeable: 2, unknown: 2 },
      ]);
    });
  });

  describe('roles', () => {
    const lead = { name: 'lead', capability: 'plan', min: 1, max: 1 };
    const scribe = { name: 'scribe', capability: 'write', min: 1, max: 2 };

    test('match reassigns a member whose first role only another agent can hold', () => {
      // both can lead or write; only-plan can but lead: it takes lead and `both` must write, though it came first.
      const fleet = [
        agent('both', { capabilities: ['plan', 'write'] }),
        agent('only-plan', { capabilities: ['plan'], load: 0.9 }),
      ];
      const answer = match(fleet, request({ roles: [lead, scribe], size: { min: 2, desired: 2, max: 2 } }));
      expect(answer.shortfall).toEqual([]);
      expect(new Map(answer.members.map(({ agentId, roles }) => [agentId, roles]))).toEqual(
        new Map([
          ['both', ['scribe']],
          ['only-plan', ['lead']],
        ]),
      );
    });

    test('match fills roles up to their maximums, then adds members without a role', () => {
      const fleet = ['a', 'b', 'c', 'd', 'e'].map((id) => agent(id, { capabilities: ['plan', 'write'] }));
      const answer = match(fleet, request({ roles: [lead, scribe], size: { min: 3, desired: 5, max: 5 } }));
      const roles = answer.members.flatMap((member) => member.roles).sort();
      expect(roles).toEqual(['lead', 'scribe', 'scribe']);
      expect(answer.members).toHaveLength(5);
    });

    test('match refuses one agent for two roles', () => {
      const fleet = [agent('both', { capabilities: ['plan', 'write'] }), agent('neither')];
      const answer = match(fleet, request({ roles: [lead, scribe], size: { min: 1, desired: 2, max: 2 } }));
      expect(answer.shortfall).toEqual([{ kind: 'room', max: 2, unmet: ['scribe'] }]);
    });

    test('match reports how many agents can hold a short role', () => {
      const fleet = [agent('a', { capabilities: ['plan'] }), agent('b'), agent('c')];
      const two = { ...lead, min: 2, max: 2 };
      expect(match(fleet, request({ roles: [two] })).shortfall).toEqual([
        { kind: 'role', role: 'lead', capability: 'plan', min: 2, max: 2, found: 1 },
      ]);
    });
  });

  test('match exceeds the desired size only as far as the needs require', () => {
    const fleet = ['u', 'v', 'w', 'x'].map((skill) => agent(`has-${skill}`, { capabilities: [skill] }));
    const spare = agent('spare', { capabilities: ['u'] });
    const asked = request({ requiredCapabilities: ['u', 'v', 'w', 'x'], size: { min: 2, desired: 3, max: 5 } });
    const answer = match([...fleet, spare], asked);
    expect(answer.shortfall).toEqual([]);
    expect(answer.members).toHaveLength(4);
  });

  test('match accepts fewer members than desired, down to the minimum', () => {
    const two = [agent('a'), agent('b')];
    const asked = (min: number) => match(two, request({ size: { min, desired: 4, max: 5 } }));
    expect(asked(2).shortfall).toEqual([]);
    expect(asked(2).members).toHaveLength(2);
    expect(asked(3).shortfall).toEqual([{ kind: 'size', min: 3, max: 5, found: 2 }]);
    expect(asked(3).members).toHaveLength(2);
  });

  test('match finds a cover that the greedy search misses, also above the exact limit', () => {
    // Six needs in two members. Greed takes `wide` first, which has four of them: 4/(1+0). Then {e} and {f} want two more.
    // Only left + right cover: 3 + 3.
    const wide = agent('wide', { capabilities: ['a', 'b', 'c', 'd'] });
    const left = agent('left', { capabilities: ['a', 'b', 'e'], load: 0.5 });
    const right = agent('right', { capabilities: ['c', 'd', 'f'], load: 0.5 });
    const asked = request({
      requiredCapabilities: ['a', 'b', 'c', 'd', 'e', 'f'],
      size: { min: 2, desired: 2, max: 2 },
    });
    expect(idsOf(match([wide, left, right], asked))).toEqual(['left', 'right']);
    const crowd = Array.from({ length: 40 }, (_, index) => agent(`crowd-${index}`, { capabilities: ['a', 'b'] }));
    const answer = match([...crowd, wide, left, right], asked);
    expect(answer.shortfall).toEqual([]);
    expect(idsOf(answer)).toEqual(['left', 'right']);
  });

  test('match finds a cover that needs several equal agents', () => {
    // Four members: left + right for the needs, as above, and two of thirty equal workers for the role.
    const workers = Array.from({ length: 30 }, (_, index) => agent(`worker-${index}`, { capabilities: ['work'] }));
    const fleet = [
      agent('wide', { capabilities: ['a', 'b', 'c', 'd'] }),
      agent('left', { capabilities: ['a', 'b', 'e'], load: 0.5 }),
      agent('right', { capabilities: ['c', 'd', 'f'], load: 0.5 }),
      ...workers,
    ];
    const asked = request({
      requiredCapabilities: ['a', 'b', 'c', 'd', 'e', 'f'],
      roles: [{ name: 'worker', capability: 'work', min: 2, max: 4 }],
      size: { min: 2, desired: 4, max: 4 },
    });
    const answer = match(fleet, asked);
    expect(answer.shortfall).toEqual([]);
    expect(answer.members.flatMap(({ roles }) => roles)).toEqual(['worker', 'worker']);
  });

  test('match reports unmet needs when each need alone could be met', () => {
    const fleet = ['u', 'v', 'w'].map((skill) => agent(`has-${skill}`, { capabilities: [skill] }));
    const asked = request({ requiredCapabilities: ['u', 'v', 'w'], size: { min: 1, desired: 2, max: 2 } });
    const { shortfall, members } = match(fleet, asked);
    expect(shortfall).toHaveLength(1);
    expect(shortfall[0]).toMatchObject({ kind: 'room', max: 2 });
    expect(members).toHaveLength(2);
  });

  test('match prefers an agent with a requested capability to an idle one without', () => {
    // able .34*1 + .33*1 = .67 < 1, the price of an agent that only makes up the number.
    const fleet = [
      agent('first', { capabilities: ['x'] }),
      agent('second', { capabilities: ['x'] }),
      agent('able', { capabilities: ['x'], load: 1, usageRatio: 1 }),
      agent('idle'),
    ];
    const answer = match(fleet, request({ requiredCapabilities: ['x'] }));
    expect(idsOf(answer)).toEqual(['able', 'first', 'second']);
    expect(answer.alternates).toEqual(['idle']);
  });

  test('match treats a versioned capability as a token of its own', () => {
    const fleet = [
      agent('new', { capabilities: ['ocr', 'ocr@2.0'], load: 0.9 }),
      agent('old', { capabilities: ['ocr', 'ocr@1.2'] }),
    ];
    const one = { min: 1, desired: 1, max: 1 };
    expect(idsOf(match(fleet, request({ requiredCapabilities: ['ocr'], size: one })))).toEqual(['old']);
    expect(idsOf(match(fleet, request({ requiredCapabilities: ['ocr@2.0'], size: one })))).toEqual(['new']);
  });

  describe('repair', () => {
    const kept = [
      { ...agent('k1', { host: 'h1', capabilities: ['plan'] }), roles: ['lead'] },
      { ...agent('k2', { host: 'h2', capabilities: ['write'] }), roles: [] },
    ];
    const lead = { name: 'lead', capability: 'plan', min: 1, max: 1 };

    test('a repair adds only missing members and keeps assigned roles', () => {
      // 2 kept of 3 desired. ocr is missing; lead is k1's. o .34*.8 = .272 comes though p (0) is cheaper.
      const fleet = [
        agent('o', { host: 'h3', capabilities: ['ocr'], load: 0.8 }),
        agent('p', { host: 'h4', capabilities: ['plan'] }),
      ];
      const answer = match(fleet, request({ requiredCapabilities: ['ocr', 'plan'], roles: [lead], kept }));
      expect(answer.members).toEqual([{ agentId: 'o', roles: [] }]);
      expect(answer.alternates).toEqual(['p']);
    });

    test('a repair counts kept members on their hosts', () => {
      const fleet = [agent('near', { host: 'h1' }), agent('far', { host: 'h3', load: 0.9 })];
      const hard = request({ kept, size: { min: 3, desired: 3, max: 3 }, spread: { by: 'host', mode: 'hard' } });
      expect(idsOf(match(fleet, hard))).toEqual(['far']);
    });

    test('a repair adds no member to a complete cluster', () => {
      const asked = request({ kept, roles: [lead], size: { min: 2, desired: 2, max: 3 } });
      expect(match([agent('x')], asked)).toEqual({ members: [], alternates: ['x'], shortfall: [] });
    });

    test('a repair refuses more kept members than the maximum', () => {
      const asked = request({ kept, size: { min: 1, desired: 1, max: 1 } });
      const answer = match([agent('x')], asked);
      expect(answer.members).toEqual([]);
      expect(answer.shortfall).toEqual([{ kind: 'size', min: 1, max: 1, found: 2 }]);
    });

    test('a repair never chooses a kept member again', () => {
      const answer = match([agent('k1', { capabilities: ['plan'] }), agent('n')], request({ kept }));
      expect(idsOf(answer)).toEqual(['n']);
    });
  });

  test('match breaks ties differently for different operations', () => {
    const fleet = Array.from({ length: 10 }, (_, index) => agent(`agent-${index}`));
    const winners = new Set<string | undefined>();
    for (let op = 0; op < 60; op += 1) {
      winners.add(
        match(fleet, request({ seed: `op_${op}`, size: { min: 1, desired: 1, max: 1 } })).members[0]?.agentId,
      );
    }
    expect(winners.size).toBeGreaterThanOrEqual(8);
  });

  test('alternates cover every capability before repeating one', () => {
    // Left over by cost: x1 0, x2 .034, y1 .272. A round offers x and y first: x1, y1, then x2.
    const fleet = [
      agent('member-x', { capabilities: ['x', 'y'] }),
      agent('member-y', { capabilities: ['x', 'y'] }),
      agent('x1', { capabilities: ['x'], load: 0.3 }),
      agent('x2', { capabilities: ['x'], load: 0.4 }),
      agent('y1', { capabilities: ['y'], load: 0.8 }),
    ];
    const asked = request({ requiredCapabilities: ['x', 'y'], size: { min: 2, desired: 2, max: 2 } });
    expect(match(fleet, asked).alternates).toEqual(['x1', 'y1', 'x2']);
  });
});
