import { sql } from 'kysely';
import pg from 'pg';
import type { CommunicationDb } from './schema.js';

const channel = 'cluster_manager_mail';
/** PostgreSQL takes at most 8,000 bytes. */
const payloadLimitBytes = 7_500;
const gatherMs = 20;
const reconnectMs = 1_000;
const probeEveryMs = 15_000;

/** Stands for every agent when there are too many to name. */
export const allAgents = '*';

export interface Notifications {
  /** Tells other processes that these agents have new deliveries, within 20 ms. Never throws. */
  readonly notify: (agentIds: readonly string[]) => void;
  readonly close: () => Promise<void>;
}

export interface NotificationOptions {
  readonly id: string;
  /** Of a connection of its own to listen on; without it nothing is received. */
  readonly url?: string;
  /** Called with the agents that have new deliveries, or `*`. Not called for what this process notified itself. */
  readonly onNotification?: (agentIds: readonly string[]) => void;
  readonly onError: (error: unknown) => void;
}

/**
 * Notifies other processes of new deliveries by LISTEN and NOTIFY. Delivery never depends on a notification: when one is
 * lost, a delivery waits for the next poll. A NOTIFY holds a lock of the whole database while its transaction commits, so
 * it is never part of a transaction that accepts messages, and is sent at most once in 20 ms.
 */
export function openNotifications(db: CommunicationDb, options: NotificationOptions): Notifications {
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
      options.onError(error);
    }
  };
  const { url, onNotification } = options;
  const stopListening = url && onNotification ? listen({ ...options, url, onNotification }) : undefined;
  return {
    notify: (agentIds) => {
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

/** Keeps one connection that listens. It is probed, since a connection can be lost without an error. */
function listen({ id, url, onNotification, onError }: Required<NotificationOptions>): () => Promise<void> {
  let client: pg.Client | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;
  const lose = (broken: pg.Client, error: unknown): void => {
    if (client !== broken || closed) return;
    client = undefined;
    clearTimeout(timer);
    onError(error);
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
      application_name: 'cluster-manager notifications',
      connectionTimeoutMillis: 5_000,
      query_timeout: 5_000,
      keepAlive: true,
    });
    client = opened;
    opened.on('error', (error) => lose(opened, error));
    opened.on('end', () => lose(opened, new Error('The connection that listens for notifications was closed')));
    opened.on('notification', ({ payload }) => {
      const [from, ...agentIds] = parsed(payload);
      if (from !== id && agentIds.length > 0) onNotification(agentIds);
    });
    try {
      await opened.connect();
      await opened.query(`listen ${channel}`);
      // For notifications that were sent while this connection was down.
      onNotification([allAgents]);
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
