import { sql } from 'kysely';
import type { ClustersDb } from './schema.js';

export interface NewEvent {
  /** Unique for what happened: the same id again is the same event and is not written twice. */
  readonly id: string;
  readonly type: string;
  /** What it is about: a cluster, agent or operation id. */
  readonly subject: string;
  readonly operationId?: string;
  readonly data: unknown;
}

/** Appends to the one event log. Call it last in a transaction: it holds the log's head until the commit. */
export async function appendEvent(tx: ClustersDb, event: NewEvent): Promise<void> {
  await sql`
    with fresh as (select 1 where not exists (select 1 from events where id = ${event.id})),
    head as (update event_head set last_seq = last_seq + 1 from fresh returning last_seq)
    insert into events (seq, id, type, subject, operation_id, data)
    select last_seq, ${event.id}, ${event.type}, ${event.subject}, ${event.operationId ?? null},
      ${JSON.stringify(event.data)}::jsonb
    from head
    on conflict (id) do nothing`.execute(tx);
}

export interface EventRow {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly operationId: string | null;
  readonly data: unknown;
  readonly time: Date;
}

/** Events after a sequence number, oldest first. Dense: a reader that goes on from the last one misses none. */
export async function eventsAfter(db: ClustersDb, seq: number, limit: number): Promise<EventRow[]> {
  return db
    .selectFrom('events')
    .select(['seq', 'id', 'type', 'subject', 'operationId', 'data', 'time'])
    .where('seq', '>', seq)
    .orderBy('seq')
    .limit(limit)
    .execute();
}
