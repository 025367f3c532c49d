import { sql } from 'kysely';
import type { DeliveryKey } from './delivery-id.js';
import type { CommunicationDb } from './schema.js';

/** An open delivery whose recipient is not the one to handle it any more. */
export interface OrphanedDelivery extends DeliveryKey {
  readonly agentId: string;
  readonly via: string;
  readonly messageId: string;
  readonly clusterId: string | null;
  readonly topic: string | null;
  readonly source: string;
  /** Of what one of a queue group got: who else has the message, open or acked. */
  readonly holders: readonly string[];
}

const orphanColumns = sql<OrphanedDelivery>`
  d.inbox_no as "inboxNo", d.sequence, i.agent_id as "agentId", d.via, m.id as "messageId", m.cluster_id as "clusterId",
  m.topic, m.source, case when d.via like 'group:%' then array(
    select h.agent_id from deliveries o join inboxes h on h.no = o.inbox_no where o.message_no = m.no
    union all
    select h.agent_id from delivery_history o join inboxes h on h.no = o.inbox_no where o.message_no = m.no and o.outcome = 'acked'
  ) else '{}' end as holders`;

/**
 * Open deliveries of a cluster's mail in the inboxes of agents that are no members of it, by its table in force; the
 * manager's own mail excepted, which tells them just that.
 */
export async function orphanedByCluster(
  db: CommunicationDb,
  clusterId: string,
  limit: number,
): Promise<OrphanedDelivery[]> {
  const { rows } = await sql<OrphanedDelivery>`
    select ${orphanColumns}
    from deliveries d join messages m on m.no = d.message_no join inboxes i on i.no = d.inbox_no
    where m.cluster_id = ${clusterId} and m.kind <> 'manager'
      and not exists (select 1 from routed_members r where r.cluster_id = ${clusterId} and r.agent_id = i.agent_id)
    order by d.inbox_no, d.sequence limit ${limit}`.execute(db);
  return rows;
}

/** Open deliveries in the inbox of an agent that has left. */
export async function orphanedByAgent(
  db: CommunicationDb,
  agentId: string,
  limit: number,
): Promise<OrphanedDelivery[]> {
  const { rows } = await sql<OrphanedDelivery>`
    select ${orphanColumns}
    from inboxes i join deliveries d on d.inbox_no = i.no join messages m on m.no = d.message_no
    where i.agent_id = ${agentId} and i.agent_status = 'left' order by d.sequence limit ${limit}`.execute(db);
  return rows;
}

/**
 * Moves open deliveries to the end of their successors' queues, with all their tries; whoever still holds one finds its
 * lease stale. One that ended meanwhile is passed over, and so is one whose successor has gone: it stays a stray.
 * @returns how many moved.
 */
export async function moveDeliveries(
  db: CommunicationDb,
  moves: readonly (DeliveryKey & { readonly to: string })[],
): Promise<number> {
  const { rows } = await sql<{ moved: number }>`
    with wanted as (
      select * from unnest(${moves.map((m) => m.inboxNo)}::integer[], ${moves.map((m) => m.sequence)}::bigint[],
        ${moves.map((m) => m.to)}::text[]) as w (inbox_no, sequence, successor)
    ), boxes as materialized (
      select i.no, i.agent_id, i.next_sequence from inboxes i
      where i.agent_id in (select successor from wanted) and i.agent_status <> 'left' order by i.no for update
    ), held as (
      -- Inboxes first, then deliveries, each in order: nobody waits in a circle.
      select d.inbox_no, d.sequence, b.no as to_no, b.next_sequence from deliveries d
      join wanted w using (inbox_no, sequence) join boxes b on b.agent_id = w.successor
      order by d.inbox_no, d.sequence for update of d
    ), gone as (
      delete from deliveries d using held h where d.inbox_no = h.inbox_no and d.sequence = h.sequence
      returning d.*, h.to_no, h.next_sequence
    ), ended as (
      insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
        first_leased_at, last_leased_at, failed_attempts)
      select inbox_no, sequence, message_no, via, 're_addressed', attempts, lease_token, accepted_at, first_leased_at,
        last_leased_at, failed_attempts from gone
    ), given as (
      insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at)
      select to_no, next_sequence + row_number() over (partition by to_no order by accepted_at, inbox_no, sequence) - 1,
        message_no, via, partition_key, expires_at from gone
      returning inbox_no
    ), advanced as (
      update inboxes i set next_sequence = i.next_sequence + n.given
      from (select inbox_no, count(*) as given from given group by inbox_no) n where i.no = n.inbox_no
    )
    select count(*) as moved from gone`.execute(db);
  return rows[0]?.moved ?? 0;
}
