import { sql } from 'kysely';
import pg from 'pg';
import type { CommunicationDb } from './schema.js';

const channel = 'cluster_manager_mail';
/** PostgreSQL takes at most 8,000 bytes. */
const payloadLimitBytes = 7_500;
const gatherMs = 20;
const reconnectMs = 1_000;
const probeEveryMs = 15_000;

/** Told to everybody when the agents are too many to name. */
export const allAgents = '*';

export interface Notifications {
  /** Tells other processes, soon and together with what else there is, that these agents have mail. Never throws. */
  readonly tell: (agentIds: readonly string[]) => void;
  readonly close: () => Promise<void>;
}

/**
 * Hints between processes that there is mail: LISTEN and NOTIFY. A NOTIFY holds a lock of the whole database while its
 * transaction commits, so it is never sent by one that accepts mail, but apart and at most once in 20 ms. A hint that
 * is lost costs the time until the next look, nothing else.
 * @param options.url of a connection of its own to listen on; without it nothing is heard.
 * @param options.onMail given the agents that have mail, or `*`. Not called for what this process told itself.
 */
export function openNotifications(
  db: CommunicationDb,
  options: {
    readonly id: string;
    readonly url?: string;
    readonly onMail?: (agentIds: readonly string[]) => void;
    readonly onTrouble: (error: unknown) => void;
  },
): Notifications {
  const waiting = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const flush = async (): Promise<void> => {
    timer = undefined;
    const agentIds = [...waiting];
    waiting.clear();
    const named = JSON.stringify([options.id, ...agentIds]);
    const payload = Buffer.byteLength(named) <= payloadLimitBytes ? named : JSON.stringify([options.id, allAgents]);
    try {
      await sql`select pg_notify(${channel}, ${payload})`.execute(db);
    } catch (error) {
      options.onTrouble(error);
    }
  };
  const stopListening =
    options.url && options.onMail ? listen({ ...options, url: options.url, onMail: options.onMail }) : undefined;
  return {
    tell: (agentIds) => {
      if (closed || agentIds.length === 0) return;
      for (const agentId of agentIds) waiting.add(agentId);
      timer ??= setTimeout(() => void flush(), gatherMs);
    },
    close: async () => {
      closed = true;
      clearTimeout(timer);
      await stopListening?.();
    },
  };
}

interface Listening {
  readonly id: string;
  readonly url: string;
  readonly onMail: (agentIds: readonly string[]) => void;
  readonly onTrouble: (error: unknown) => void;
}

/** Keeps one connection that listens; a connection can die without a word, so it is asked now and then. */
function listen({ id, url, onMail, onTrouble }: Listening): () => Promise<void> {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const lose = (broken: pg.Client, error: unknown): void => {
    if (client !== broken || closed) return;
    client = undefined;
    clearTimeout(timer);
    onTrouble(error);
    broken.end().catch(() => undefined);
    timer = setTimeout(() => void open(), reconnectMs);
  };
  const probe = (probed: pg.Client): void => {
    timer = setTimeout(() => {
      probed.query('select 1').then(
        () => probe(probed),
        (error: unknown) => lose(probed, error),
      );
    }, probeEveryMs);
  };
  const open = async (): Promise<void> => {
    const opened = new pg.Client({
      connectionString: url,
      application_name: 'cluster-manager wake-ups',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
    });
    client = opened;
    opened.on('error', (error) => lose(opened, error));
    opened.on('end', () => lose(opened, new Error('The connection that listens for mail was closed')));
    opened.on('notification', ({ payload }) => {
      const [from, ...agentIds] = parsed(payload);
      if (from !== id && agentIds.length > 0) onMail(agentIds);
    });
    try {
      await opened.connect();
      await opened.query(`listen ${channel}`);
      // Whatever was told while nobody listened.
      onMail([allAgents]);
      probe(opened);
    } catch (error) {
      lose(opened, error);
    }
  };
  void open();
  return async () => {
    closed = true;
    clearTimeout(timer);
    await client?.end().catch(() => undefined);
  };
}

function parsed(payload: string | undefined): string[] {
  try {
    const value: unknown = JSON.parse(payload ?? '');
    return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
  } catch {
    return [];
  }
}
