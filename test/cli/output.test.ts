import { describe, expect, it } from 'vitest';
import { duration, elapsed, printable, truncate } from '../../src/cli/format.js';
import { readPages } from '../../src/cli/list-command.js';
import { facts, table } from '../../src/cli/table.js';

describe('command line output', () => {
  it('aligns the columns of a table, omits empty columns and pads no line end', () => {
    const rows = [
      { agent: 'a', zone: null, host: 'host-1' },
      { agent: 'agent-2', zone: null, host: undefined },
    ];
    const lines = table(rows, { AGENT: ({ agent }) => agent, ZONE: ({ zone }) => zone, HOST: ({ host }) => host });
    expect(lines).toEqual(['AGENT    HOST', 'a        host-1', 'agent-2']);
    expect(table([], { AGENT: () => 'a' })).toEqual([]);
  });

  it('aligns the values of facts and omits facts without a value', () => {
    expect(facts({ a: 1, 'long name': 'x', none: null, zero: 0 })).toEqual([
      'a          1',
      'long name  x',
      'zero       0',
    ]);
  });

  it.each([
    [-5, '0.0 s'],
    [1234, '1.2 s'],
    [59_400, '59 s'],
    [300_000, '5 min'],
    [10_800_000, '3 h'],
    [432_000_000, '5 d'],
  ])('prints the duration of %d ms as %s', (ms, text) => {
    expect(duration(ms)).toBe(text);
  });

  it.each([
    [-3, '0 ms'],
    [41.4, '41 ms'],
    [1500, '1.5 s'],
    [61_000, '61 s'],
  ])('prints the elapsed time of %d ms as %s', (ms, text) => {
    expect(elapsed(ms)).toBe(text);
  });

  it('escapes control characters, line breaks and direction marks in text that agents wrote', () => {
    expect(printable('a\u001b[31mb\nc\u202ed\u009b')).toBe('a\\u001b[31mb\\u000ac\\u202ed\\u009b');
    expect(printable('żółć 猫 👍🏽 – “x”')).toBe('żółć 猫 👍🏽 – “x”');
    expect(table(['x\u001b'], { A: (text) => text, B: () => 'y' })).toEqual(['A        B', 'x\\u001b  y']);
  });

  it('truncates long text with an ellipsis', () => {
    expect(truncate('abcdef', 4)).toBe('abc…');
    expect(truncate('abcd', 4)).toBe('abcd');
  });

  it('reads the pages of a list up to the limit and knows whether more items exist', async () => {
    const queries: object[] = [];
    const readPage = async (query: Parameters<Parameters<typeof readPages>[1]>[0]) => {
      queries.push(query);
      const from = Number(query.cursor ?? 0);
      const items = Array.from({ length: Math.min(query.limit, 450 - from) }, (_, index) => from + index);
      const next = from + items.length;
      return { items, nextCursor: next < 450 ? String(next) : null };
    };
    const some = await readPages(300, readPage);
    expect(some.items).toHaveLength(300);
    expect(some.hasMore).toBe(true);
    expect(queries).toEqual([{ limit: 200 }, { limit: 100, cursor: '200' }]);
    const all = await readPages(1000, readPage);
    expect(all.items).toEqual(Array.from({ length: 450 }, (_, index) => index));
    expect(all.hasMore).toBe(false);
  });
});
