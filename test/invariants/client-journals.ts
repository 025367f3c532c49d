import { sql, type RawBuilder } from 'kysely';
import { parseDeliveryId } from '../../src/stores/communication/index.js';
import { copies, originals } from './copies.js';
import { inDatabase, type Evidence, type Invariant } from './invariant.js';

const communication = inDatabase('communication');

/** A query that can also read the clients' journals, as tables `j_sent`, `j_received` and `j_acked`. */
const withJournals =
  (query: string) =>
  ({ journal }: Evidence): RawBuilder<object> => {
    const rows = (what: Evidence['journal'][number]['what']): string =>
      JSON.stringify(
        journal
          .filter((entry) => entry.what === what)
          .map((entry) => ('deliveryId' in entry ? { ...entry, ...parseDeliveryId(entry.deliveryId) } : entry)),
      );
    return sql`
      with j_sent as materialized (
        select * from jsonb_to_recordset(${rows('sent')}::jsonb)
          as j (source text, id text, outcome text, matched integer, "order" bigint)
      ), j_received as materialized (
        select * from jsonb_to_recordset(${rows('received')}::jsonb) as j ("agentId" text, "deliveryId" text,
          "inboxNo" integer, sequence bigint, "leaseToken" text, attempt integer, "messageId" text, source text)
      ), j_acked as materialized (
        select * from jsonb_to_recordset(${rows('acked')}::jsonb) as j ("agentId" text, "deliveryId" text,
          "inboxNo" integer, sequence bigint, "leaseToken" text, confirmed boolean)
      ) ${sql.raw(query)}`;
  };

/** Invariants between the clients' journals and the stored data. */
export const journalInvariants: readonly Invariant[] = [
  communication(
    'always',
    'an accepted message is stored with the recipients it was accepted for',
    withJournals(`
      select j.source, j.id, j.matched, m.matched as stored from j_sent j
      left join messages m on m.id = j.id and m.source = j.source
      where j.outcome = 'accepted' and (m.no is null or m.matched <> j.matched)`),
  ),
  communication(
    'always',
    'a refused message is not stored',
    withJournals(`
      select j.source, j.id from j_sent j join messages m on m.id = j.id and m.source = j.source
      where j.outcome = 'refused' and not exists (
        select 1 from j_sent o where o.source = j.source and o.id = j.id and o.outcome <> 'refused')`),
  ),
  communication(
    'always',
    "an inbox keeps a sender's messages of one partition key in the order they were sent",
    withJournals(`
      select * from (
        select o.inbox_no, o.sequence, m.source, m.id, j."order", lag(j."order") over (
          partition by o.inbox_no, m.source, m.partition_key order by o.sequence) as before
        from (select distinct source, id, "order" from j_sent where "order" is not null) j
        join messages m on m.id = j.id and m.source = j.source join ${originals} o on o.message_no = m.no) x
      where before > "order"`),
  ),
  communication(
    'always',
    'a delivery is not delivered again after its ack was confirmed',
    withJournals(`
      select a."agentId", a."deliveryId", r.attempt from j_acked a
      join j_received r on r."inboxNo" = a."inboxNo" and r.sequence = a.sequence
      left join j_received own on own."leaseToken" = a."leaseToken" and own."inboxNo" = a."inboxNo" and own.sequence = a.sequence
      left join delivery_history s on s.inbox_no = a."inboxNo" and s.sequence = a.sequence
      where a.confirmed and r.attempt > coalesce(own.attempt, s.attempts)`),
  ),
  communication(
    'always',
    'a confirmed ack is in the delivery history',
    withJournals(`
      select a."agentId", a."deliveryId", s.outcome from j_acked a
      left join delivery_history s on s.inbox_no = a."inboxNo" and s.sequence = a.sequence
      where a.confirmed and (s.outcome is distinct from 'acked' or s.lease_token::text <> a."leaseToken")`),
  ),
  communication(
    'always',
    "an agent never receives or acks another agent's delivery",
    withJournals(`
      select r."agentId", r."deliveryId", i.agent_id from j_received r left join inboxes i on i.no = r."inboxNo"
      where i.agent_id is distinct from r."agentId"
      union all
      select a."agentId", a."deliveryId", i.agent_id from j_acked a left join inboxes i on i.no = a."inboxNo"
      where a.confirmed and i.agent_id is distinct from a."agentId"`),
  ),
  communication(
    'always',
    'a received delivery matches the stored message and attempt',
    withJournals(`
      select r."agentId", r."deliveryId", r.attempt, c.attempts, m.id from j_received r
      left join ${copies} c on c.inbox_no = r."inboxNo" and c.sequence = r.sequence
      left join messages m on m.no = c.message_no
      where m.no is null or m.id <> r."messageId" or m.source <> r.source or c.attempts < r.attempt`),
  ),
];
