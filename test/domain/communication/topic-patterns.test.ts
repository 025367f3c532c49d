import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { matchesTopic, patternsTaking } from '../../../src/domain/communication/topic-patterns.js';

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

describe('patternsTaking', () => {
  it('patternsTaking lists the patterns of one and of two tokens', () => {
    expect(patternsTaking('a').sort()).toEqual(['*', '>', 'a']);
    expect(patternsTaking('a.b').sort()).toEqual(['*.*', '*.>', '*.b', '>', 'a.*', 'a.>', 'a.b']);
  });

  it('patternsTaking returns each matching pattern once: 2^n without ">" and 2^n - 1 with it', () => {
    fc.assert(
      fc.property(topic, (name) => {
        const all = patternsTaking(name);
        const tokens = name.split('.').length;
        expect(all).toHaveLength(2 ** tokens + 2 ** tokens - 1);
        expect(new Set(all).size).toBe(all.length);
        for (const each of all) expect(oracle(each, name)).toBe(true);
      }),
    );
  });

  it('patternsTaking contains a pattern exactly when it matches the topic', () => {
    fc.assert(
      fc.property(pattern, topic, (wanted, name) => {
        expect(patternsTaking(name).includes(wanted)).toBe(oracle(wanted, name));
      }),
      { numRuns: 1000 },
    );
  });

  it('a pattern derived from a topic by wildcards is among its patterns', () => {
    const hidden = topic.chain((name) => {
      const tokens = name.split('.');
      return fc.tuple(
        fc.constant(tokens),
        fc.array(fc.boolean(), { minLength: tokens.length, maxLength: tokens.length }),
        fc.nat(tokens.length),
      );
    });
    fc.assert(
      fc.property(hidden, ([tokens, stars, cut]) => {
        const shown = tokens.map((each, index) => (stars[index] ? '*' : each));
        const wanted = cut < tokens.length ? [...shown.slice(0, cut), '>'] : shown;
        expect(patternsTaking(tokens.join('.'))).toContain(wanted.join('.'));
      }),
    );
  });

  it('a topic of ten tokens has 2,047 patterns', () => {
    expect(patternsTaking('a.b.c.d.e.f.g.h.i.j')).toHaveLength(2047);
  });
});
