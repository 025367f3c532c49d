-- Acknowledges deliveries of any number of agents. A delivery whose ack was confirmed before is confirmed again, without
-- its time.
--
-- claims: JSON array of {agentId, inboxNo, sequence, leaseToken}. One that names no lease has nulls and is passed over.
-- Returns a row for each claim that is acknowledged: its index from 0, the cluster of the message, and the milliseconds
-- from acceptance to this ack.
--
-- Rows are found by key only: the statistics of a queue say nothing about its present size.
-- Locks: deliveries by inbox and sequence.
-- Tests: test/stores/communication/ack.test.ts
create or replace function ack_deliveries(claims jsonb) returns setof acked_delivery language plpgsql
set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
declare
  now_acked acked_delivery[];
  acked_at timestamptz := clock_timestamp();
begin
  with claimed as materialized (
    select c.ordinality - 1 as index, c."inboxNo" as inbox_no, c.sequence, c."leaseToken" as lease_token
    from rows from (jsonb_to_recordset(claims) as ("agentId" text, "inboxNo" integer, sequence bigint, "leaseToken" uuid))
      with ordinality c
    join inboxes i on i.no = c."inboxNo" and i.agent_id = c."agentId"
    order by c."inboxNo", c.sequence
  ), deleted as (
    delete from deliveries d using claimed c
    where d.inbox_no = c.inbox_no and d.sequence = c.sequence and d.lease_token = c.lease_token returning d.*, c.index
  ), recorded as (
    insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
      first_leased_at, last_leased_at, ended_at, failed_attempts)
    select inbox_no, sequence, message_no, via, 'acked', attempts, lease_token, accepted_at, first_leased_at,
      last_leased_at, acked_at, failed_attempts from deleted
  )
  select array_agg(row(d.index, m.cluster_id,
    extract(epoch from acked_at - d.accepted_at)::double precision * 1000)::acked_delivery)
  into now_acked from deleted d join messages m on m.no = d.message_no;

  return query select * from unnest(now_acked);
  if coalesce(cardinality(now_acked), 0) < jsonb_array_length(claims) then
    -- A statement of its own: it sees the ack of another session that the delete above waited for.
    return query
    select c.ordinality::integer - 1, null::text, null::double precision
    from rows from (jsonb_to_recordset(claims) as ("agentId" text, "inboxNo" integer, sequence bigint, "leaseToken" uuid))
      with ordinality c
    join inboxes i on i.no = c."inboxNo" and i.agent_id = c."agentId"
    join delivery_history h on h.inbox_no = i.no and h.sequence = c.sequence
    where h.outcome = 'acked' and h.lease_token = c."leaseToken"
      and not exists (select from unnest(now_acked) a where a.claim_index = c.ordinality - 1);
  end if;
end $$;
