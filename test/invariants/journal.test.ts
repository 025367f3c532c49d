import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { journalFigures, openJournal, readJournals, type JournalEntry, type JournalFact } from '../support/journal.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cluster-manager-journal-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sent: JournalFact = { what: 'sent', source: 'a', id: 'm', outcome: 'accepted', matched: 2, order: 1 };
const delivery = { agentId: 'b', deliveryId: 'dl_1_1', leaseToken: 't' };

it('readJournals returns the entries of several writers in order, and journalFigures counts each message and delivery once', () => {
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
  expect(journalFigures(entries)).toEqual({
    accepted: 1,
    deliveries: 2,
    received: 1,
    acked: 1,
    lost: 1,
    repeated: 0,
    afterAck: 0,
  });
});

it('journalFigures separates deliveries after the confirmed ack from earlier ones, and ignores messages without an accepted answer', () => {
  const at = '2026-01-01T00:00:00.000Z';
  const received: JournalEntry = { what: 'received', at, ...delivery, attempt: 1, messageId: 'm', source: 'a' };
  const acked: JournalEntry = { what: 'acked', at, ...delivery, confirmed: true };
  const others: JournalEntry = { ...received, deliveryId: 'dl_1_2', messageId: 'of-the-manager', source: 'manager' };
  const accepted: JournalEntry = { what: 'sent', at, source: 'a', id: 'm', outcome: 'accepted', matched: 1 };
  const before = journalFigures([received, others, received, acked, accepted]);
  expect(before).toMatchObject({ deliveries: 1, received: 1, acked: 1, lost: 0, repeated: 1, afterAck: 0 });
  expect(journalFigures([accepted, received, acked, received])).toMatchObject({ repeated: 0, afterAck: 1 });
  const unknown: JournalEntry = { ...accepted, outcome: 'unknown' };
  expect(journalFigures([unknown, received, acked])).toMatchObject({ accepted: 0, deliveries: 0, received: 0 });
});

it('readJournals skips the unfinished last line of a killed writer, and rejects any other broken line', () => {
  const path = join(folder, 'torn.jsonl');
  const journal = openJournal(path);
  journal.write(sent);
  journal.close();
  appendFileSync(path, '{"what":"sent","id"');
  expect(readJournals([path])).toHaveLength(1);
  appendFileSync(path, '\n');
  expect(() => readJournals([path])).toThrow(`${path}:2 is not JSON`);
});

it.each([
  ['{"what":"heard"}', '"what" is "heard"'],
  ['3', '"what" is undefined'],
  ['{"what":"acked","at":"now","agentId":"b","deliveryId":"d","leaseToken":"t"}', '"confirmed" must be a boolean'],
])('readJournals rejects the line %s and names its file and line number', (line, problem) => {
  const path = join(folder, 'odd.jsonl');
  appendFileSync(path, `${line}\n`);
  expect(() => readJournals([path])).toThrow(`${path}:1: ${problem}`);
});
