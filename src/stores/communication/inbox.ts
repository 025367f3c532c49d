import { sql } from 'kysely';
import type { DeliveryView } from '../../contracts/inbox.js';
import type { CommunicationDb } from './schema.js';

export interface NewMessage {
  /** The same id again is the same message: it is not delivered twice. */
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly data: unknown;
}

/** Stores a message and its deliveries, once. Inboxes must exist: who has none is passed over. */
export async function deliver(db: CommunicationDb, message: NewMessage, recipients: readonly string[]): Promise<void> {
  await sql`select deliver(${JSON.stringify(message)}::jsonb, ${recipients}::text[])`.execute(db);
}

/** Makes an inbox for an agent, once. */
export async function openInbox(db: CommunicationDb, agentId: string): Promise<void> {
  await sql`insert into inboxes (agent_id) values (${agentId}) on conflict do nothing`.execute(db);
}

/**
 * Leases the oldest open deliveries of an agent: those waiting and those whose lease ran out.
 * @param leaseSeconds after which an unacked delivery is handed over again.
 */
export async function receive(
  db: CommunicationDb,
  agentId: string,
  { max, leaseSeconds }: { max: number; leaseSeconds: number },
): Promise<DeliveryView[]> {
  const { rows } = await sql<LeasedRow>`
    with picked as (
      select id from deliveries
      where recipient_id = ${agentId} and available_at <= now()
        and (state = 'waiting' or (state = 'leased' and lease_expires_at <= clock_timestamp()))
      order by sequence limit ${max} for update skip locked
    ), leased as (
      update deliveries d set state = 'leased', attempts = attempts + 1, lease_token = gen_random_uuid()::text,
        lease_expires_at = clock_timestamp() + make_interval(secs => ${leaseSeconds})
      from picked where d.id = picked.id
      returning d.id, d.message_id, d.sequence, d.attempts, d.lease_token, d.lease_expires_at
    )
    select l.id, l.lease_token as "leaseToken", l.lease_expires_at as "leaseExpiresAt", l.attempts as attempt, l.sequence,
      m.id as "messageId", m.source, m.type, m.time, m.cluster_id as "clusterId", m.epoch, m.data
    from leased l join messages m on m.id = l.message_id order by l.sequence`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    leaseToken: row.leaseToken,
    leaseExpiresAt: row.leaseExpiresAt.toISOString(),
    attempt: row.attempt,
    sequence: row.sequence,
    message: {
      id: row.messageId,
      source: row.source,
      type: row.type,
      time: row.time.toISOString(),
      datacontenttype: 'application/json',
      clusterId: row.clusterId,
      epoch: row.epoch,
      data: row.data,
    },
  }));
}

interface LeasedRow {
  readonly id: string;
  readonly leaseToken: string;
  readonly leaseExpiresAt: Date;
  readonly attempt: number;
  readonly sequence: number;
  readonly messageId: string;
  readonly source: string;
  readonly type: string;
  readonly time: Date;
  readonly clusterId: string | null;
  readonly epoch: number | null;
  readonly data: unknown;
}

/**
 * Acknowledges deliveries whose lease is still held. An ack that was already confirmed is confirmed again.
 * @returns the ids that are acked; the others belong to nobody here or their lease went to another attempt.
 */
export async function ack(
  db: CommunicationDb,
  agentId: string,
  acks: readonly { readonly id: string; readonly leaseToken: string }[],
): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ id: string }>`
    with wanted as (
      select * from unnest(${acks.map((a) => a.id)}::text[], ${acks.map((a) => a.leaseToken)}::text[]) as t (id, token)
    ), locked as (
      select d.id from deliveries d join wanted w on w.id = d.id and w.token = d.lease_token
      where d.recipient_id = ${agentId} and d.state in ('leased', 'acked') order by d.id for update of d
    )
    update deliveries d set state = 'acked', acked_at = coalesce(d.acked_at, clock_timestamp())
    from locked where d.id = locked.id returning d.id`.execute(db);
  return new Set(rows.map((row) => row.id));
}

/** Which of these agents have mail that can be handed over now: one question for all who wait. */
export async function agentsWithMail(db: CommunicationDb, agentIds: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select t.id from unnest(${agentIds}::text[]) as t (id) where exists (
      select 1 from deliveries d where d.recipient_id = t.id and d.available_at <= now()
        and (d.state = 'waiting' or (d.state = 'leased' and d.lease_expires_at <= now())))`.execute(db);
  return rows.map((row) => row.id);
}

/** Unacked deliveries of a cluster's messages: what a drain waits for. */
export async function openDeliveries(db: CommunicationDb, clusterId: string): Promise<number> {
  const { rows } = await sql<{ open: number }>`
    select count(*) as open from deliveries d join messages m on m.id = d.message_id
    where m.cluster_id = ${clusterId} and d.state in ('waiting', 'leased')`.execute(db);
  return rows[0]?.open ?? 0;
}
