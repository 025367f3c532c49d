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
  readonly failedAttempts: readonly FailedTry[] | null;
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

/** The messages of an id: one of each sender that used it. */
export async function findMessages(db: CommunicationDb, id: string): Promise<StoredMessage[]> {
  return db
    .selectFrom('messages')
    .select(['no', 'id', 'source', 'kind', 'type', 'address as to', 'time', 'expiresAt'])
    .select(['clusterId', 'epoch', 'matched', 'operationId'])
    .where('id', '=', id)
    .orderBy('no')
    .execute();
}

export async function deliveriesOf(db: CommunicationDb, messageNo: number, limit: number): Promise<TracedDelivery[]> {
  const { rows } = await sql<TracedDelivery>`
    select d.*, i.agent_id as recipient from (
      select inbox_no, sequence, via, attempts, accepted_at, last_leased_at,
        coalesce(lease_expires_at > now(), false) as is_held, null as outcome, null::timestamptz as ended_at, failed_attempts
      from deliveries where message_no = ${messageNo}
      union all
      select inbox_no, sequence, via, attempts, accepted_at, last_leased_at, false, outcome, ended_at, failed_attempts
      from delivery_history where message_no = ${messageNo}) d
    join inboxes i on i.no = d.inbox_no order by d.accepted_at, i.agent_id limit ${limit}`.execute(db);
  return rows;
}

export async function deadLettersOf(db: CommunicationDb, messageNo: number): Promise<TracedDeadLetter[]> {
  return db
    .selectFrom('deadLetters')
    .select(['recipient', 'reason', 'detail', 'state', 'createdAt as at', 'endedAt', 'endedBy'])
    .where('messageNo', '=', messageNo)
    .orderBy('no')
    .limit(1000)
    .execute();
}
