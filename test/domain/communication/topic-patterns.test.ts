import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesTopic } from '../../../src/domain/communication/topic-patterns.js';

const token = fc.stringMatching(/^[A-Za-z0-9_-]{1,6}$/);
const word = fc.oneof(fc.constantFrom('a', 'b', 'ab'), token);
const topic = fc.array(word, { minLength: 1, maxLength: 6 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('*')), { maxLength: 6 }), fc.constantFrom('', '>', '*', 'a'))
  .map(([tokens, last]) => [...tokens, ...(last === '' ? [] : [last])].join('.'))
  .filter((text) => text !== '');

/** By a regular expression, which our own code does not use. */
function oracle(wanted: string, name: string): boolean {
  const parts = wanted.split('.').map((part) => (part === '*' ? '[^.]+' : part === '>' ? '.+' : part));
  return new RegExp(`^${parts.join('\\.')}$`).test(name);
}

describe('matchesTopic', () => {
  it.each([
    ['a', 'a', true],
    ['a', 'b', false],
    ['a', 'a.b', false],
    ['a.b', 'a', false],
    ['*', 'a', true],
    ['*', 'a.b', false],
    ['a.*', 'a', false],
    ['a.*', 'a.b', true],
    ['a.*.c', 'a.b.c', true],
    ['a.*.c', 'a.b.d', false],
    ['*.*', 'a.b', true],
    ['>', 'a', true],
    ['>', 'a.b.c', true],
    ['a.>', 'a', false],
    ['a.>', 'a.b', true],
    ['a.>', 'a.b.c', true],
    ['*.b.>', 'a.b', false],
    ['*.b.>', 'a.b.c', true],
    ['ab', 'a', false],
  ])('%s takes %s: %s', (wanted, name, takes) => {
    expect(matchesTopic(wanted, name)).toBe(takes);
  });

  it('matchesTopic agrees with an equivalent regular expression', () => {
    fc.assert(
      fc.property(pattern, topic, (wanted, name) => {
        expect(matchesTopic(wanted, name)).toBe(oracle(wanted, name));
      }),
      { numRuns: 2000 },
    );
  });
});
