import { describe, expect, test } from 'vitest';
import { invitationVerdict, majority } from '../../../src/domain/formation/quorum.js';
import type { InvitationAnswer, Invited } from '../../../src/domain/formation/quorum.js';
import { placed, request } from './builders.js';

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
])('a majority of %i is %i', (count, needed) => {
  expect(majority(count)).toBe(needed);
});

describe('invitationVerdict', () => {
  const ask = (id: string, over = {}): Invited => ({ ...placed(id, over), acceptance: 'ask' });
  const lead = { name: 'lead', capability: 'plan', min: 1, max: 1 };
  const five = [
    ask('a', { capabilities: ['plan'], roles: ['lead'] }),
    ask('b', { capabilities: ['ocr'] }),
    ask('c'),
    ask('d'),
    ask('e'),
  ];
  const asked = request({ requiredCapabilities: ['ocr'], roles: [lead], size: { min: 2, desired: 5, max: 5 } });
  const verdict = (answers: Record<string, InvitationAnswer>) =>
    invitationVerdict({ members: five, answers, request: asked });

  test.each<[string, Record<string, InvitationAnswer>, ReturnType<typeof verdict>]>([
    ['nobody has answered', {}, 'waiting'],
    ['all but one accepted', { a: 'accepted', b: 'accepted', c: 'accepted', d: 'accepted' }, 'waiting'],
    [
      'three of five accepted and the others refused',
      { a: 'accepted', b: 'accepted', c: 'accepted', d: 'declined', e: 'silent' },
      'ready',
    ],
    [
      'three refused, though two may still accept',
      { c: 'declined', d: 'declined', e: 'silent' },
      { failed: '0 of 5 agents accepted, a majority is 3' },
    ],
    ['the lead declined', { a: 'declined' }, { failed: '0 of 5 agents accepted, and role "lead" has 0 of at least 1' }],
    [
      'the only reader was silent',
      { b: 'silent', c: 'accepted' },
      { failed: '1 of 5 agents accepted, and none of them has "ocr"' },
    ],
  ])('when %s', (_when, answers, expected) => {
    expect(verdict(answers)).toEqual(expected);
  });

  test('auto agents and kept members count as accepted', () => {
    const members: Invited[] = [{ ...placed('a'), acceptance: 'auto' }, ask('b')];
    const two = request({ size: { min: 2, desired: 2, max: 2 } });
    expect(invitationVerdict({ members, answers: {}, request: { ...two, kept: [{ id: 'b' }] } })).toBe('ready');
    expect(invitationVerdict({ members, answers: {}, request: two })).toBe('waiting');
  });

  test('a majority below size.min does not start a cluster', () => {
    const four = { ...asked, requiredCapabilities: [], roles: [], size: { min: 4, desired: 5, max: 5 } };
    expect(
      invitationVerdict({ members: five, answers: { a: 'accepted', d: 'declined', e: 'declined' }, request: four }),
    ).toEqual({ failed: '1 of 5 agents accepted, the cluster needs at least 4' });
  });

  test('an exceeded hard spread waits while an agent may still decline, then fails', () => {
    // Of 4 only 1 may be on a host; of the 3 without d, 1 each.
    const members = ['h1', 'h2', 'h3', 'h3'].map((host, index) => ask(`m${index}`, { host }));
    const hard = request({ size: { min: 3, desired: 4, max: 4 }, spread: { by: 'host', mode: 'hard' } });
    const answers = { m0: 'accepted', m1: 'accepted', m2: 'accepted' } as const;
    expect(invitationVerdict({ members, answers, request: hard })).toBe('waiting');
    expect(invitationVerdict({ members, answers: { ...answers, m3: 'declined' }, request: hard })).toBe('ready');
    expect(invitationVerdict({ members, answers: { ...answers, m3: 'accepted' }, request: hard })).toEqual({
      failed: '4 of 4 agents accepted, and more than 1 of them share a host',
    });
  });

  test('an agent named like an object property has not answered', () => {
    const members = [ask('constructor')];
    expect(invitationVerdict({ members, answers: {}, request: request() })).toBe('waiting');
  });
});
