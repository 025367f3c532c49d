import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/*
 * A journal records what one client sent, received and acked: one JSON object a line, appended and never changed. A line is
 * written before the client goes on, so that the journal of a killed client is complete.
 */

/** One attempt to send. Attempts of one message have the same source, id and order. */
export interface SentEntry {
  readonly what: 'sent';
  /** When the answer arrived, RFC 3339. */
  readonly at: string;
  /** The sender as the server names it: an agent's id, or `/<role>/<token id>`. */
  readonly source: string;
  readonly id: string;
  /** `unknown`: no answer arrived; the message may be stored or not. */
  readonly outcome: 'accepted' | 'refused' | 'unknown';
  readonly matched?: number;
  /** Grows with each message that was sent after the previous one was accepted. Absent when the sender kept no order. */
  readonly order?: number;
}

/** One receipt of a delivery, written before it is handled. */
export interface ReceivedEntry {
  readonly what: 'received';
  readonly at: string;
  readonly agentId: string;
  readonly deliveryId: string;
  readonly leaseToken: string;
  readonly attempt: number;
  readonly messageId: string;
  readonly source: string;
}

/** One attempt to ack. */
export interface AckedEntry {
  readonly what: 'acked';
  readonly at: string;
  readonly agentId: string;
  readonly deliveryId: string;
  readonly leaseToken: string;
  /** Whether the server confirmed it. False: it was refused, or no answer arrived. */
  readonly confirmed: boolean;
}

export type JournalEntry = SentEntry | ReceivedEntry | AckedEntry;

/** An entry without its time. */
export type JournalFact = JournalEntry extends infer Entry
  ? Entry extends JournalEntry
    ? Omit<Entry, 'at'>
    : never
  : never;

export interface Journal {
  /** Appends an entry with the present time; it is in the file when this returns. */
  write(fact: JournalFact): void;
  close(): void;
}

/** Opens a journal for appending; several writers may share a file. */
export function openJournal(path: string): Journal {
  const file = openSync(path, 'a', 0o600);
  return {
    write: (fact) => void writeSync(file, `${JSON.stringify({ ...fact, at: new Date().toISOString() })}\n`),
    close: () => closeSync(file),
  };
}

const fields: Readonly<Record<JournalEntry['what'], Readonly<Record<string, 'string' | 'number' | 'boolean'>>>> = {
  sent: { at: 'string', source: 'string', id: 'string', outcome: 'string' },
  received: {
    at: 'string',
    agentId: 'string',
    deliveryId: 'string',
    leaseToken: 'string',
    attempt: 'number',
    messageId: 'string',
    source: 'string',
  },
  acked: { at: 'string', agentId: 'string', deliveryId: 'string', leaseToken: 'string', confirmed: 'boolean' },
};

/**
 * Reads journals, one after the other. The last line of a file may be incomplete, because its writer was killed.
 * @throws Error that names the file, the line and what is wrong with it.
 */
export function readJournals(paths: readonly string[]): JournalEntry[] {
  return paths.flatMap((path) => {
    const lines = readFileSync(path, 'utf8').split('\n');
    // After the last line break is nothing, or an incomplete line.
    return lines.slice(0, -1).map((line, index) => parseEntry(line, `${path}:${index + 1}`));
  });
}

function parseEntry(line: string, where: string): JournalEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch (cause) {
    throw new Error(`${where} is not JSON: ${line.slice(0, 100)}`, { cause });
  }
  const record = (typeof entry === 'object' && entry !== null ? entry : {}) as Readonly<Record<string, unknown>>;
  const expected = fields[record['what'] as JournalEntry['what']] as (typeof fields)['sent'] | undefined;
  if (!expected)
    throw new Error(`${where}: "what" is ${JSON.stringify(record['what'])}; it must be sent, received or acked`);
  for (const [name, type] of Object.entries(expected)) {
    if (typeof record[name] !== type) throw new Error(`${where}: "${name}" must be a ${type}: ${line.slice(0, 200)}`);
  }
  return record as unknown as JournalEntry;
}

/** Counts of the messages that were accepted in one run. */
export interface JournalFigures {
  /** Messages with at least one accepted attempt. */
  readonly accepted: number;
  /** Their deliveries: one for each recipient that a message matched. */
  readonly deliveries: number;
  /** Deliveries that were received at least once. */
  readonly received: number;
  /** Deliveries whose ack was confirmed. */
  readonly acked: number;
  /** Deliveries without a confirmed ack. Those are lost once no client runs any more. */
  readonly lost: number;
  /** Deliveries that were received more than once before their ack was confirmed, which is allowed. */
  readonly repeated: number;
  /** Receipts of a delivery after its ack was confirmed, which must not happen. */
  readonly afterAck: number;
}

/** @param entries those of one agent in the order in which it wrote them. */
export function journalFigures(entries: readonly JournalEntry[]): JournalFigures {
  const matched = new Map<string, number>();
  for (const entry of entries) {
    if (entry.what === 'sent' && entry.outcome === 'accepted') {
      const key = keyOf(entry.source, entry.id);
      matched.set(key, Math.max(matched.get(key) ?? 0, entry.matched ?? 0));
    }
  }
  const receipts = new Map<string, number>();
  const messages = new Map<string, string>();
  const acked = new Set<string>();
  let afterAck = 0;
  for (const entry of entries) {
    if (entry.what === 'acked' && entry.confirmed) acked.add(entry.deliveryId);
    if (entry.what !== 'received') continue;
    if (acked.has(entry.deliveryId)) afterAck++;
    else receipts.set(entry.deliveryId, (receipts.get(entry.deliveryId) ?? 0) + 1);
    messages.set(entry.deliveryId, keyOf(entry.source, entry.messageId));
  }
  const known = [...messages].flatMap(([id, key]) => (matched.has(key) ? [{ id, key }] : []));
  const ackedOf = new Map<string, number>();
  for (const { id, key } of known) if (acked.has(id)) ackedOf.set(key, (ackedOf.get(key) ?? 0) + 1);
  return {
    accepted: matched.size,
    deliveries: sum([...matched.values()]),
    received: known.length,
    acked: sum([...ackedOf.values()]),
    lost: sum([...matched].map(([key, count]) => Math.max(0, count - (ackedOf.get(key) ?? 0)))),
    repeated: known.filter(({ id }) => (receipts.get(id) ?? 0) > 1).length,
    afterAck,
  };
}

const keyOf = (source: string, id: string): string => JSON.stringify([source, id]);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
