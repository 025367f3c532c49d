import { sql } from 'kysely';
import type { FailedTry } from '../../contracts/messages.js';
import type { CommunicationDb } from './schema.js';

export interface StoredMessage {
  readonly no: number;
  readonly id: string;
  readonly source: string;
  readonly kind: string;
  readonly type: string;
  readonly to: unknown;
  readonly time: Date;
  readonly expiresAt: Date;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly matched: number;
  readonly operationId: string | null;
}

/** A delivery of a message, open or ended. */
export interface TracedDelivery {
  readonly inboxNo: number;
  readonly sequence: number;
  readonly recipient: string;
  readonly via: string;
  readonly attempts: number;
  readonly acceptedAt: Date;
  readonly lastLeasedAt: Date | null;
  readonly isHeld: boolean;
  readonly outcome: 'acked' | 'dead' | 're_addressed' | null;
  readonly endedAt: Date | null;
  readonly tries: readonly FailedTry[] | null;
}

export interface TracedDeadLetter {
  readonly recipient: string | null;
  readonly reason: string;
  readonly detail: string;
  readonly state: 'dead' | 'replayed' | 'discarded';
  readonly at: Date;
  readonly endedAt: Date | null;
  readonly endedBy: string | null;
}

/** The messages of an id, one a sender. */
export async function findMessages(db: CommunicationDb, id: string): Promise<StoredMessage[]> {
  const { rows } = await sql<StoredMessage>`
    select m.no, m.id, m.source, m.kind, m.type, m.address as "to", m.time, m.expires_at as "expiresAt",
      m.cluster_id as "clusterId", m.epoch, m.matched, m.operation_id as "operationId"
    from messages m where m.id = ${id} order by m.no`.execute(db);
  return rows;
}

export async function deliveriesOf(db: CommunicationDb, messageNo: number, limit: number): Promise<TracedDelivery[]> {
  const { rows } = await sql<TracedDelivery>`
    select d.*, i.agent_id as recipient from (
      select inbox_no as "inboxNo", sequence, via, attempts, accepted_at as "acceptedAt", last_leased_at as "lastLeasedAt",
        coalesce(lease_expires_at > now(), false) as "isHeld", null as outcome, null::timestamptz as "endedAt",
        failed_attempts as tries
      from deliveries where message_no = ${messageNo}
      union all
      select inbox_no, sequence, via, attempts, accepted_at, last_leased_at, false, outcome, ended_at, failed_attempts
      from delivery_history where message_no = ${messageNo}) d
    join inboxes i on i.no = d."inboxNo" order by d."acceptedAt", i.agent_id limit ${limit}`.execute(db);
  return rows;
}

export async function deadLettersOf(db: CommunicationDb, messageNo: number): Promise<TracedDeadLetter[]> {
  const { rows } = await sql<TracedDeadLetter>`
    select recipient, reason, detail, state, created_at as at, ended_at as "endedAt", ended_by as "endedBy"
    from dead_letters where message_no = ${messageNo} order by no limit 1000`.execute(db);
  return rows;
}
