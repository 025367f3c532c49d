import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

/*
 * What clients saw, in their own words: one JSON object a line, appended and never changed. A line is written before the
 * client goes on, so that a killed client has told everything it knew. Anybody can write it, in any language.
 */

/** One attempt to send. Attempts of one message have the same source, id and order. */
export interface SentEntry {
  readonly what: 'sent';
  /** RFC 3339, when the answer was there. */
  readonly at: string;
  /** Who the server says sends: an agent's id, or `/<role>/<token id>`. */
  readonly source: string;
  readonly id: string;
  /** `unknown`: no answer came, it may be stored or not. */
  readonly outcome: 'accepted' | 'refused' | 'unknown';
  readonly matched?: number;
  /** Rises with each message that was sent after the one before was accepted. Without it no order is claimed. */
  readonly order?: number;
}

/** One hand-over, written before the work begins. */
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
  /** The answer said so. False: it was refused, or no answer came. */
  readonly confirmed: boolean;
}

export type JournalEntry = SentEntry | ReceivedEntry | AckedEntry;

/** An entry before it is dated. */
export type JournalFact = JournalEntry extends infer Entry
  ? Entry extends JournalEntry
    ? Omit<Entry, 'at'>
    : never
  : never;

export interface Journal {
  /** Appends an entry, dated now; it is in the file when this returns. */
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
 * Reads journals, one after the other. The last line of a file may be torn: its writer was killed.
 * @throws Error that names the file, the line and what is wrong with it.
 */
export function readJournals(paths: readonly string[]): JournalEntry[] {
  return paths.flatMap((path) => {
    const lines = readFileSync(path, 'utf8').split('\n');
    // What follows the last line break is empty, or torn.
    return lines.slice(0, -1).map((line, index) => parseEntry(line, `${path}:${index + 1}`));
  });
}

function parseEntry(line: string, where: string): JournalEntry {
  let entry: unknown;
  try {
    entry = JSON.parse(line);
  } catch (cause) {
    throw new Error(`${where} is no JSON: ${line.slice(0, 100)}`, { cause });
  }
  const record = (typeof entry === 'object' && entry !== null ? entry : {}) as Readonly<Record<string, unknown>>;
  const wanted = fields[record['what'] as JournalEntry['what']] as (typeof fields)['sent'] | undefined;
  if (!wanted)
    throw new Error(`${where}: "what" is ${JSON.stringify(record['what'])}; sent, received and acked are known`);
  for (const [name, type] of Object.entries(wanted)) {
    if (typeof record[name] !== type) throw new Error(`${where}: "${name}" must be a ${type}: ${line.slice(0, 200)}`);
  }
  return record as unknown as JournalEntry;
}

/** What a story about a run can say of the messages that were accepted in it. */
export interface JournalFigures {
  /** Messages with at least one accepted attempt. */
  readonly accepted: number;
  /** What they add up to, one for each recipient that they matched. */
  readonly deliveries: number;
  /** Deliveries that were handed over at least once. */
  readonly received: number;
  /** Deliveries whose ack was confirmed. */
  readonly acked: number;
  /** Deliveries that are neither acked nor, if nobody is at work any more, ever will be. */
  readonly lost: number;
  /** Deliveries that were handed over more than once before their ack was confirmed, as may happen. */
  readonly repeated: number;
  /** Hand-overs of anything at all after its ack was confirmed, which must not happen. */
  readonly afterAck: number;
}

/** @param entries of one agent in the order in which it wrote them. */
export function journalFigures(entries: readonly JournalEntry[]): JournalFigures {
  const matched = new Map<string, number>();
  for (const entry of entries) {
    if (entry.what === 'sent' && entry.outcome === 'accepted') {
      const key = keyOf(entry.source, entry.id);
      matched.set(key, Math.max(matched.get(key) ?? 0, entry.matched ?? 0));
    }
  }
  const handOvers = new Map<string, number>();
  const messages = new Map<string, string>();
  const acked = new Set<string>();
  let afterAck = 0;
  for (const entry of entries) {
    if (entry.what === 'acked' && entry.confirmed) acked.add(entry.deliveryId);
    if (entry.what !== 'received') continue;
    if (acked.has(entry.deliveryId)) afterAck++;
    else handOvers.set(entry.deliveryId, (handOvers.get(entry.deliveryId) ?? 0) + 1);
    messages.set(entry.deliveryId, keyOf(entry.source, entry.messageId));
  }
  const ours = [...messages].flatMap(([id, key]) => (matched.has(key) ? [{ id, key }] : []));
  const ackedOf = new Map<string, number>();
  for (const { id, key } of ours) if (acked.has(id)) ackedOf.set(key, (ackedOf.get(key) ?? 0) + 1);
  return {
    accepted: matched.size,
    deliveries: sum([...matched.values()]),
    received: ours.length,
    acked: sum([...ackedOf.values()]),
    lost: sum([...matched].map(([key, count]) => Math.max(0, count - (ackedOf.get(key) ?? 0)))),
    repeated: ours.filter(({ id }) => (handOvers.get(id) ?? 0) > 1).length,
    afterAck,
  };
}

const keyOf = (source: string, id: string): string => JSON.stringify([source, id]);
const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
