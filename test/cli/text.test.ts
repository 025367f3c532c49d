import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { numbers, pairs, roleOf, sizeRange, spreadRule, wholeNumber } from '../../src/cli/arguments.js';
import { duration, facts, table } from '../../src/cli/output.js';
import { readPages } from '../../src/cli/pages.js';

describe('option values', () => {
  it.each([
    ['4', { min: 4, desired: 4, max: 4 }],
    ['3..5', { min: 3, max: 5 }],
    ['3..4..5', { min: 3, desired: 4, max: 5 }],
  ])('a size of %s', (text, size) => {
    expect(sizeRange(text)).toEqual(size);
  });

  it.each(['', 'x', '3..', '..5', '1..2..3..4', '3-5', '-1', '1.5'])('no size: %j', (text) => {
    expect(() => sizeRange(text)).toThrow(InvalidArgumentError);
  });

  it.each([
    ['host', { by: 'host', mode: 'soft' }],
    ['zone:hard', { by: 'zone', mode: 'hard' }],
  ])('a spread of %s', (text, rule) => {
    expect(spreadRule(text)).toEqual(rule);
  });

  it.each(['rack', 'host:firm', 'host:hard:x', ''])('no spread: %j', (text) => {
    expect(() => spreadRule(text)).toThrow(InvalidArgumentError);
  });

  it.each([
    ['lead=plan', { name: 'lead', capability: 'plan' }],
    ['lead=plan:1', { name: 'lead', capability: 'plan', min: 1, max: 1 }],
    ['writers=llm:write:2..3', { name: 'writers', capability: 'llm:write', min: 2, max: 3 }],
  ])('a role of %s', (text, role) => {
    expect(roleOf(text)).toEqual(role);
  });

  it('names and values, and what is neither', () => {
    expect(pairs('--label', ['team=blue', 'note=a=b'])).toEqual({ team: 'blue', note: 'a=b' });
    expect(numbers('--resource', ['slots=2', 'cpu=0.5'])).toEqual({ slots: 2, cpu: 0.5 });
    expect(() => pairs('--label', ['blue'])).toThrow('--label "blue"');
    expect(() => numbers('--resource', ['slots=many'])).toThrow('--resource "slots=many"');
    expect(() => numbers('--resource', ['slots='])).toThrow('--resource "slots="');
    expect(() => roleOf('plan')).toThrow('--role "plan"');
    expect(wholeNumber(1, 10)('10')).toBe(10);
    expect(() => wholeNumber(1, 10)('11')).toThrow('1 to 10');
    expect(() => wholeNumber(1, 10)('1e1')).toThrow('1 to 10');
  });
});

describe('text for a person', () => {
  it('is aligned, without columns that are empty and spaces at line ends', () => {
    expect(
      table(
        ['AGENT', 'ZONE', 'HOST'],
        [
          ['a', '', 'host-1'],
          ['agent-2', '', ''],
        ],
      ),
    ).toEqual(['AGENT    HOST', 'a        host-1', 'agent-2']);
    expect(
      facts([
        ['a', 1],
        ['long name', 'x'],
        ['none', null],
        ['zero', 0],
      ]),
    ).toEqual(['a          1', 'long name  x', 'zero       0']);
  });

  it.each([
    [-5, '0.0 s'],
    [1234, '1.2 s'],
    [59_400, '59 s'],
    [300_000, '5 min'],
    [10_800_000, '3 h'],
    [432_000_000, '5 d'],
  ])('%d ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });
});

describe('pages', () => {
  it('are read up to the limit, and it is said whether there is more', async () => {
    const asked: object[] = [];
    const page = async (query: { readonly limit: number; readonly cursor?: string }) => {
      asked.push(query);
      const from = Number(query.cursor ?? 0);
      const items = Array.from({ length: Math.min(query.limit, 450 - from) }, (_, index) => from + index);
      const next = from + items.length;
      return { items, nextCursor: next < 450 ? String(next) : null };
    };
    const some = await readPages(300, page);
    expect(some.items).toHaveLength(300);
    expect(some.more).toBe(true);
    expect(asked).toEqual([{ limit: 200 }, { limit: 100, cursor: '200' }]);
    const all = await readPages(1000, page);
    expect(all.items).toEqual(Array.from({ length: 450 }, (_, index) => index));
    expect(all.more).toBe(false);
  });
});
