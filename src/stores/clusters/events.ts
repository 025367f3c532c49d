import { sql } from 'kysely';
import { queryRows } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

export interface NewEvent {
  /** The same id again is the same event, and is not written twice. */
  readonly id: string;
  readonly type: string;
  /** What it is about: a cluster, agent or operation id. */
  readonly subject: string;
  readonly operationId?: string;
  readonly data: unknown;
}

/** Appends to the event log. Call it last in a transaction: it locks the log's head until the commit. */
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

/** Events after a sequence number, oldest first. Without gaps: a reader that continues after the last one misses none. */
export const eventsAfter = (db: ClustersDb, seq: number, limit: number): Promise<Row<'events'>[]> =>
  queryRows<Row<'events'>>(db)`select * from events where seq > ${seq} order by seq limit ${limit}`;
