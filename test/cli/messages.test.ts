import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { describe, expect, it } from 'vitest';
import { dataOf } from '../../src/cli/json-input.js';
import { addressOf, contentOf } from '../../src/cli/message-options.js';
import { addressText } from '../../src/cli/message-text.js';
import { wayLines } from '../../src/cli/messages.js';
import { cut, elapsed, printable, table } from '../../src/cli/output.js';
import { receiptLines } from '../../src/cli/receipt-text.js';
import { accessOf, retentionOf } from '../../src/cli/topics.js';
import { address, type MessageTrace, type ReceiptView } from '../../src/contracts/messages.js';

describe('whom a message is for', () => {
  it.each([
    [{ agent: 'ada' }, { agent: 'ada' }, 'agent ada'],
    [{ role: 'writer', cluster: 'cl_1' }, { role: 'writer', cluster: 'cl_1' }, 'one with role writer in cluster cl_1'],
    [{ capability: 'write' }, { capability: 'write' }, 'one with capability write'],
    [
      { capability: 'write', cluster: 'cl_1' },
      { capability: 'write', cluster: 'cl_1' },
      'one with capability write in cluster cl_1',
    ],
    [{ cluster: 'cl_1' }, { cluster: 'cl_1' }, 'all of cluster cl_1'],
    [{ clusters: ['cl_1', 'cl_2'] }, { clusters: ['cl_1', 'cl_2'] }, 'all of clusters cl_1, cl_2'],
    [{ allClusters: true as const }, { allClusters: true }, 'all clusters'],
  ])('%j is an address that the manager takes, and is told in words', (options, expected, text) => {
    const to = addressOf(options);
    expect(to).toEqual(expected);
    expect(address.safeParse(to).success).toBe(true);
    expect(addressText(to)).toBe(text);
  });

  it.each([
    [{}, 'for nobody'],
    [{ agent: 'ada', cluster: 'cl_1' }, 'more than one address'],
    [{ cluster: 'cl_1', allClusters: true as const }, 'more than one address'],
    [{ role: 'writer' }, 'name it with --cluster'],
  ])('%j is refused', (options, told) => {
    expect(() => addressOf(options)).toThrow(told);
  });

  it('tells a topic, what a later version may send, and nothing for the manager’s own mail', () => {
    expect(addressText({ topic: 'news' })).toBe('topic news');
    expect(addressText({ moon: 'dark side' })).toBe('{"moon":"dark side"}');
    expect(addressText(null)).toBe('');
  });
});

describe('what a message says', () => {
  it('is JSON, a file or nothing, and a plain text is told how to be one', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-data-'));
    try {
      const file = join(folder, 'data.json');
      writeFileSync(file, '{"a": [1]}');
      expect(dataOf(`@${file}`)).toEqual({ a: [1] });
      expect(dataOf('"hello"')).toBe('hello');
      expect(dataOf(undefined)).toBeNull();
      expect(() => dataOf('hello')).toThrow(`a text is written in quotes, as '"hello"'`);
      expect(() => dataOf(`@${folder}/none`)).toThrow('cannot be read');
      writeFileSync(file, 'nope');
      expect(() => dataOf(`@${file}`)).toThrow(`--data @${file} is not JSON`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('has only the options that were given', () => {
    expect(contentOf({ type: 't' })).toEqual({ type: 't', data: null });
    const all = { type: 't', data: '1', id: 'i', ttl: 5, partitionKey: 'k', correlationId: 'c', replyTo: 'ada' };
    expect(contentOf(all)).toEqual({
      type: 't',
      data: 1,
      id: 'i',
      ttlSeconds: 5,
      partitionKey: 'k',
      correlationId: 'c',
      replyTo: 'ada',
    });
  });
});

describe('topics', () => {
  it.each([
    ['none', { keep: 'none' }],
    ['last', { keep: 'last' }],
    ['count:20', { keep: 'count', count: 20 }],
    ['duration:3600', { keep: 'duration', seconds: 3600 }],
  ])('keep %s', (text, rule) => {
    expect(retentionOf(text)).toEqual(rule);
  });

  it.each(['', 'all', 'last:1', 'count', 'count:', 'count:x', 'count:1:2', 'duration:-1'])('do not keep %j', (text) => {
    expect(() => retentionOf(text)).toThrow(InvalidArgumentError);
  });

  it('are for agents and clusters', () => {
    expect(accessOf(['ada', 'cluster:cl_1', 'bo'])).toEqual({ agents: ['ada', 'bo'], clusters: ['cl_1'] });
  });
});

describe('texts of others', () => {
  it('reach no terminal as commands, begin no line and turn no line around', () => {
    expect(printable('a\u001b[31mb\nc\u202ed\u009b')).toBe('a\\u001b[31mb\\u000ac\\u202ed\\u009b');
    expect(printable('żółć 猫 👍🏽 – “x”')).toBe('żółć 猫 👍🏽 – “x”');
    expect(table(['A', 'B'], [['x\u001b', 'y']])).toEqual(['A        B', 'x\\u001b  y']);
    expect(cut('abcdef', 4)).toBe('abc…');
    expect(cut('abcd', 4)).toBe('abcd');
  });
});

it.each([
  [-3, '0 ms'],
  [41.4, '41 ms'],
  [1500, '1.5 s'],
  [61_000, '61 s'],
])('%d ms after is told as %s', (ms, text) => {
  expect(elapsed(ms)).toBe(text);
});

describe('the way of a message', () => {
  const way: MessageTrace = {
    id: 'm1',
    source: 'ada',
    type: 'draft',
    to: { cluster: 'cl_1' },
    time: '2026-01-01T00:00:00.000Z',
    expiresAt: '2026-01-01T01:00:00.000Z',
    clusterId: 'cl_1',
    epoch: 2,
    matched: 2,
    operationId: 'op_1',
    temporalUrl: 'http://ui/op_1',
    deliveries: [
      { id: 'dl_1_1', recipient: 'bo', state: 'acked', attempts: 2, via: 'member' },
      { id: 'dl_2_1', recipient: 'cy', state: 'waiting', attempts: 0, via: 'member' },
    ],
    hops: [
      { at: '2026-01-01T00:00:00.000Z', what: 'accepted', recipient: null, detail: 'from ada, durable' },
      { at: '2026-01-01T00:00:00.012Z', what: 'leased', recipient: 'bo', detail: 'try 1' },
      { at: '2026-01-01T00:00:30.012Z', what: 'lease_expired', recipient: 'bo', detail: '' },
      { at: '2026-01-01T00:02:05.000Z', what: 'acked', recipient: 'bo', detail: '125000 ms after it was accepted' },
    ],
  };

  it('is a timeline of relative times, and where each copy is now', () => {
    const lines = wayLines(way);
    expect(lines.slice(0, lines.indexOf('')).filter((line) => !line.startsWith('sent'))).toEqual([
      'message      m1',
      'type         draft',
      'from         ada',
      'to           all of cluster cl_1',
      'expires      2026-01-01T01:00:00.000Z',
      'cluster      cl_1, epoch 2',
      'recipients   2',
      'operation    op_1',
      'Temporal UI  http://ui/op_1',
    ]);
    expect(lines.slice(lines.indexOf('') + 1)).toEqual([
      'AFTER  WHAT           RECIPIENT  DETAIL',
      '0 ms   accepted                  from ada, durable',
      '12 ms  leased         bo         try 1',
      '30 s   lease expired  bo',
      '2 min  acked          bo         125000 ms after it was accepted',
      '',
      'RECIPIENT  STATE    TRIES  FOUND AS  DELIVERY',
      'bo         acked    2      member    dl_1_1',
      'cy         waiting  0      member    dl_2_1',
    ]);
  });

  it('ends before anybody got it', () => {
    const { operationId: _operation, ...rest } = way;
    const lines = wayLines({ ...rest, operationId: null, temporalUrl: null, matched: 0, deliveries: [], hops: [] });
    expect(lines).not.toContain('RECIPIENT');
    expect(lines.some((line) => line.startsWith('Temporal'))).toBe(false);
  });
});

describe('a receipt', () => {
  const receipt: ReceiptView = {
    messageId: 'm1',
    clusterId: 'cl_1',
    epoch: 3,
    matched: 5,
    delivered: 4,
    acked: 2,
    dead: 1,
    left: 1,
    pending: 1,
    require: 'quorum',
    deadlineAt: '2026-01-01T00:00:30.000Z',
    state: 'open',
  };

  it('says what was required and what became of it', () => {
    expect(receiptLines(receipt)).toEqual([
      'receipt      open: 2 of 5 acked, acks of more than half are required',
      'message      m1',
      'cluster      cl_1, members at epoch 3',
      'handed over  to 4 of 5',
      'not acked    1 pending, 1 left before, 1 dead letters',
      'deadline     2026-01-01T00:00:30.000Z',
    ]);
  });

  it('of a message for nobody says so', () => {
    const nobody = { ...receipt, matched: 0, delivered: 0, acked: 0, dead: 0, left: 0, pending: 0 };
    expect(receiptLines(nobody)[3]).toBe('handed over  to nobody: there was nobody, it is a dead letter');
  });
});
