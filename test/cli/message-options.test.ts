import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseData } from '../../src/cli/json-input.js';
import { parseAddress, parseContent } from '../../src/cli/commands/send.js';
import { addressText } from '../../src/cli/commands/messages.js';
import { address } from '../../src/contracts/messages.js';

describe("a message's address on the command line", () => {
  it.each([
    [{ agent: 'ada' }, 'agent ada'],
    [{ role: 'writer', cluster: 'cl_1' }, 'one member with role writer in cluster cl_1'],
    [{ capability: 'write' }, 'one agent with capability write'],
    [{ capability: 'write', cluster: 'cl_1' }, 'one agent with capability write in cluster cl_1'],
    [{ cluster: 'cl_1' }, 'all members of cluster cl_1'],
    [{ clusters: ['cl_1', 'cl_2'] }, 'all members of clusters cl_1, cl_2'],
    [{ allClusters: true as const }, 'all members of all clusters'],
  ])('the options %j are a valid address, printed as "%s"', (options, text) => {
    const to = parseAddress(options);
    expect(to).toEqual(options);
    expect(address.safeParse(to).success).toBe(true);
    expect(addressText(to)).toBe(text);
  });

  it.each([
    [{}, 'no address'],
    [{ agent: 'ada', cluster: 'cl_1' }, 'more than one address'],
    [{ cluster: 'cl_1', allClusters: true as const }, 'more than one address'],
    [{ role: 'writer' }, 'name the cluster with --cluster'],
  ])('the options %j are rejected because of "%s"', (options, message) => {
    expect(() => parseAddress(options)).toThrow(message);
  });

  it('a topic, an unknown address and the missing address of a manager message are printed', () => {
    expect(addressText({ topic: 'news' })).toBe('topic news');
    expect(addressText({ moon: 'dark side' })).toBe('{"moon":"dark side"}');
    expect(addressText(null)).toBe('');
  });
});

describe("a message's content on the command line", () => {
  it('--data is JSON, a file or nothing, and the error for plain text shows how to quote it', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cluster-manager-data-'));
    try {
      const file = join(folder, 'data.json');
      writeFileSync(file, '{"a": [1]}');
      expect(parseData(`@${file}`)).toEqual({ a: [1] });
      expect(parseData('"hello"')).toBe('hello');
      expect(parseData(undefined)).toBeNull();
      expect(() => parseData('hello')).toThrow(`write a string with its quotes, as '"hello"'`);
      expect(() => parseData(`@${folder}/none`)).toThrow('cannot be read');
      writeFileSync(file, 'nope');
      expect(() => parseData(`@${file}`)).toThrow(`--data @${file} is not JSON`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('a message has only the fields whose options were given', () => {
    expect(parseContent({ type: 't' })).toEqual({ type: 't', data: null });
    const all = { type: 't', data: '1', id: 'i', ttl: 5, partitionKey: 'k', correlationId: 'c', replyTo: 'ada' };
    const { ttl: ttlSeconds, ...rest } = all;
    expect(parseContent(all)).toEqual({ ...rest, data: 1, ttlSeconds });
  });
});
