import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { journalFigures, openJournal, readJournals, type JournalFact } from '../support/journal.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-manager-journal-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sent: JournalFact = { what: 'sent', source: 'a', id: 'm', outcome: 'accepted', matched: 2, order: 1 };
const delivery = { agentId: 'b', deliveryId: 'dl_1_1', leaseToken: 't' };

it('gives back what several writers wrote, in order, and counts each message and delivery once', () => {
  const path = join(folder, 'one.jsonl');
  const [first, second] = [openJournal(path), openJournal(path)];
  first.write(sent);
  second.write({ what: 'received', ...delivery, attempt: 1, messageId: 'm', source: 'a' });
  first.write({ what: 'sent', source: 'a', id: 'm', outcome: 'accepted' });
  second.write({ what: 'acked', ...delivery, confirmed: false });
  second.write({ what: 'acked', ...delivery, confirmed: true });
  first.close();
  second.close();
  const entries = readJournals([path]);
  expect(entries.map(({ what }) => what)).toEqual(['sent', 'received', 'sent', 'acked', 'acked']);
  expect(entries[0]).toEqual({ ...sent, at: expect.stringMatching(/^\d{4}-.*Z$/) as string });
  expect(journalFigures(entries)).toEqual({ accepted: 1, received: 1, acked: 1 });
});

it('passes over the last line of a writer that was killed, and no other', () => {
  const path = join(folder, 'torn.jsonl');
  const journal = openJournal(path);
  journal.write(sent);
  journal.close();
  appendFileSync(path, '{"what":"sent","id"');
  expect(readJournals([path])).toHaveLength(1);
  appendFileSync(path, '\n');
  expect(() => readJournals([path])).toThrow(`${path}:2 is no JSON`);
});

it.each([
  ['{"what":"heard"}', '"what" is "heard"'],
  ['3', '"what" is undefined'],
  ['{"what":"acked","at":"now","agentId":"b","deliveryId":"d","leaseToken":"t"}', '"confirmed" must be a boolean'],
])('refuses %s by its place', (line, problem) => {
  const path = join(folder, 'odd.jsonl');
  appendFileSync(path, `${line}\n`);
  expect(() => readJournals([path])).toThrow(`${path}:1: ${problem}`);
});
