import { InvalidArgumentError } from '@commander-js/extra-typings';
import { describe, expect, it } from 'vitest';
import {
  decimalNumber,
  oneOf,
  parseAmounts,
  parsePairs,
  parseRole,
  sizeRange,
  spreadRule,
  wholeNumber,
} from '../../src/cli/option-parsers.js';
import { defined } from '../../src/contracts/defined.js';
import { parseAccess, parseRetention } from '../../src/cli/commands/topics.js';

describe('command line option parsers', () => {
  it.each([
    ['4', { min: 4, desired: 4, max: 4 }],
    ['3..5', { min: 3, max: 5 }],
    ['3..4..5', { min: 3, desired: 4, max: 5 }],
  ])('sizeRange parses %s', (text, size) => {
    expect(sizeRange(text)).toEqual(size);
  });

  it.each(['', 'x', '3..', '..5', '1..2..3..4', '3-5', '-1', '1.5'])('sizeRange rejects %j', (text) => {
    expect(() => sizeRange(text)).toThrow(InvalidArgumentError);
  });

  it.each([
    ['host', { by: 'host', mode: 'soft' }],
    ['zone:hard', { by: 'zone', mode: 'hard' }],
  ])('spreadRule parses %s', (text, rule) => {
    expect(spreadRule(text)).toEqual(rule);
  });

  it.each(['rack', 'host:firm', 'host:hard:x', ''])('spreadRule rejects %j', (text) => {
    expect(() => spreadRule(text)).toThrow(InvalidArgumentError);
  });

  it.each([
    ['lead=plan', { name: 'lead', capability: 'plan' }],
    ['lead=plan:1', { name: 'lead', capability: 'plan', min: 1, max: 1 }],
    ['writers=llm:write:2..3', { name: 'writers', capability: 'llm:write', min: 2, max: 3 }],
  ])('parseRole parses %s', (text, role) => {
    expect(parseRole(text)).toEqual(role);
  });

  it.each([
    ['none', { keep: 'none' }],
    ['last', { keep: 'last' }],
    ['count:20', { keep: 'count', count: 20 }],
    ['duration:3600', { keep: 'duration', seconds: 3600 }],
  ])('parseRetention parses %s', (text, rule) => {
    expect(parseRetention(text)).toEqual(rule);
  });

  it.each(['', 'all', 'last:1', 'count', 'count:', 'count:x', 'count:1:2', 'duration:-1'])(
    'parseRetention rejects %j',
    (text) => {
      expect(() => parseRetention(text)).toThrow(InvalidArgumentError);
    },
  );

  it('parseAccess separates agent ids from cluster ids', () => {
    expect(parseAccess(['ada', 'cluster:cl_1', 'bo'])).toEqual({ agents: ['ada', 'bo'], clusters: ['cl_1'] });
  });

  it('parse name=value options, and name the option and the value that they reject', () => {
    expect(parsePairs('--label', ['team=blue', 'note=a=b'])).toEqual({ team: 'blue', note: 'a=b' });
    expect(parseAmounts('--resource', ['slots=2', 'cpu=0.5'])).toEqual({ slots: 2, cpu: 0.5 });
    expect(() => parsePairs('--label', ['blue'])).toThrow('--label "blue"');
    expect(() => parseAmounts('--resource', ['slots=many'])).toThrow('--resource "slots=many"');
    expect(() => parseAmounts('--resource', ['slots='])).toThrow('--resource "slots="');
    expect(() => parseRole('plan')).toThrow('--role "plan"');
    expect(() => oneOf('--role', 'king', ['admin', 'viewer'])).toThrow('--role "king" is not known; allowed: admin');
  });

  it('accept numbers within their bounds only', () => {
    expect(wholeNumber(1, 10)('10')).toBe(10);
    expect(() => wholeNumber(1, 10)('11')).toThrow('1 to 10');
    expect(() => wholeNumber(1, 10)('1e1')).toThrow('1 to 10');
    expect(decimalNumber(0.001, 1000)('0.5')).toBe(0.5);
    expect(() => decimalNumber(0.001, 1000)('0')).toThrow('0.001 to 1000');
    expect(() => decimalNumber(0, 1e12, '1e12')('')).toThrow('0 to 1e12');
  });

  it('defined keeps only the options that the user gave', () => {
    expect(Object.keys(defined({ a: 1, b: undefined, c: '' }))).toEqual(['a', 'c']);
  });
});
