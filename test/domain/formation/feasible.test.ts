import { describe, expect, test } from 'vitest';
import { checkFormation } from '../../../src/domain/formation/feasible.js';
import { placed, request } from './builders.js';

const lead = { name: 'lead', capability: 'plan', min: 1, max: 1 };
const hard = { by: 'host', mode: 'hard' } as const;
const on = (...hosts: (string | null)[]) => hosts.map((host, index) => placed(`a${index}`, { host }));

describe('checkFormation', () => {
  test('checkFormation accepts a valid cluster', () => {
    const members = [
      placed('a', { host: 'h1', capabilities: ['plan'], roles: ['lead'] }),
      placed('b', { host: 'h2', capabilities: ['ocr'] }),
      placed('c', { host: 'h3' }),
    ];
    const asked = request({ requiredCapabilities: ['ocr', 'plan'], roles: [lead], spread: hard });
    expect(checkFormation(members, asked)).toEqual([]);
  });

  test('checkFormation counts a duplicate agent once', () => {
    const size = { min: 2, desired: 2, max: 2 };
    expect(checkFormation([placed('a'), placed('a')], request({ size }))).toEqual([
      { kind: 'size', min: 2, max: 2, found: 1 },
    ]);
  });

  test('checkFormation reports too many and too few members', () => {
    expect(checkFormation(on('h', 'h'), request({ size: { min: 1, desired: 1, max: 1 } }))).toEqual([
      { kind: 'size', min: 1, max: 1, found: 2 },
    ]);
  });

  test('checkFormation ignores a role holder without its capability and reports a role held too often', () => {
    const without = [placed('a', { roles: ['lead'] })];
    expect(checkFormation(without, request({ roles: [lead] }))).toEqual([
      { kind: 'role', role: 'lead', capability: 'plan', min: 1, max: 1, found: 0 },
    ]);
    const twice = ['a', 'b'].map((id) => placed(id, { capabilities: ['plan'], roles: ['lead'] }));
    expect(checkFormation(twice, request({ roles: [lead] }))).toEqual([
      { kind: 'role', role: 'lead', capability: 'plan', min: 1, max: 1, found: 2 },
    ]);
  });

  test.each([
    // Placeable: each host up to 1 of 3 and 4, 2 of 5 and 6.
    [['h1', 'h1', 'h2'], 2],
    [['h1', 'h1', 'h2', 'h3'], 3],
    [['h1', 'h1', 'h2', 'h2', 'h3'], 5],
    [['h1', 'h1', 'h1', 'h2', 'h3'], 4],
    [['h1', 'h2', null], 2],
  ])('of members on %j a hard spread can place %i', (hosts, count) => {
    const found = checkFormation(on(...hosts), request({ spread: hard })).flatMap((short) =>
      short.kind === 'spread' ? [short.placeable] : [],
    );
    expect(found).toEqual(count === hosts.length ? [] : [count]);
  });

  test('checkFormation exempts kept members without a host from a hard spread', () => {
    const members = on('h1', 'h2', null);
    expect(checkFormation(members, { ...request({ spread: hard }), kept: [{ id: 'a2' }] })).toEqual([]);
  });
});
