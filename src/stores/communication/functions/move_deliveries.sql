-- Moves open deliveries to the end of other inboxes, in the order of their acceptance, with all their attempts. A delivery that ended in the meantime is
-- passed over, and so is one whose new recipient has left.
--
-- moves: JSON array of {inboxNo, sequence, to}; `to` is the new recipient's agent id.
-- Returns how many were moved.
--
-- Locks: the new recipients' inboxes by number, then deliveries by inbox and sequence.
-- Tests: test/stores/communication/dead-letters.test.ts, model.test.ts
create or replace function move_deliveries(moves jsonb) returns integer language sql as $$
  with wanted as (
    select * from jsonb_to_recordset(moves) as w ("inboxNo" integer, sequence bigint, "to" text)
  ), successors as materialized (
    select i.no, i.agent_id, i.next_sequence from inboxes i
    where i.agent_id in (select w."to" from wanted w) and i.agent_status <> 'left' order by i.no for update
  ), locked as (
    select d.inbox_no, d.sequence, s.no as to_no, s.next_sequence from deliveries d
    join wanted w on w."inboxNo" = d.inbox_no and w.sequence = d.sequence join successors s on s.agent_id = w."to"
    order by d.inbox_no, d.sequence for update of d
  ), deleted as (
    delete from deliveries d using locked l where d.inbox_no = l.inbox_no and d.sequence = l.sequence
    returning d.*, l.to_no, l.next_sequence
  ), recorded as (
    insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
      first_leased_at, last_leased_at, failed_attempts)
    select inbox_no, sequence, message_no, via, 're_addressed', attempts, lease_token, accepted_at, first_leased_at,
      last_leased_at, failed_attempts from deleted
  ), delivered as (
    -- Microseconds apart, so that a later move still finds the order of deliveries that moved together.
    insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at, accepted_at)
    select to_no, next_sequence + row_number() over (partition by to_no order by accepted_at, message_no) - 1,
      message_no, via, partition_key, expires_at,
      statement_timestamp() + row_number() over (order by accepted_at, message_no) * interval '1 microsecond'
    from deleted
    returning inbox_no
  ), advanced as (
    update inboxes i set next_sequence = i.next_sequence + n.delivered
    from (select inbox_no, count(*) as delivered from delivered group by inbox_no) n where i.no = n.inbox_no
  )
  select count(*)::integer from deleted
$$;
