import { describe, expect, test } from 'vitest';
import { fnv1a, tieBreaker } from '../../src/domain/hash.js';

describe('fnv1a', () => {
  test.each([
    // From the reference vectors of draft-eastlake-fnv, appendix C.
    ['', 0x811c9dc5],
    ['a', 0xe40c292c],
    ['foobar', 0xbf9cf968],
  ])('of %j is the published value', (text, value) => {
    expect(fnv1a(text)).toBe(value);
  });

  test('fnv1a hashes the UTF-8 bytes of non-ASCII text', () => {
    const bytes = [...new TextEncoder().encode('aé🙂b')];
    const slow = bytes.reduce(
      (hash, byte) => Number(((BigInt(hash ^ byte) & 0xffffffffn) * 0x01000193n) & 0xffffffffn),
      0x811c9dc5,
    );
    expect(fnv1a('aé🙂b')).toBe(slow);
  });

  test('fnv1a continues from the hash of a prefix', () => {
    expect(fnv1a('bar', fnv1a('foo'))).toBe(fnv1a('foobar'));
  });
});

test('tieBreaker separates seed and id and orders agents differently for each seed', () => {
  expect(tieBreaker('op_1')('2')).not.toBe(tieBreaker('op_')('12'));
  const ids = Array.from({ length: 20 }, (_, index) => `agent-${index}`);
  const order = (seed: string): string => {
    const tieOf = tieBreaker(seed);
    return [...ids].sort((a, b) => tieOf(a) - tieOf(b)).join();
  };
  expect(order('op_1')).toBe(order('op_1'));
  expect(new Set(Array.from({ length: 50 }, (_, index) => order(`op_${index}`))).size).toBe(50);
});
