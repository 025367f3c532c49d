-- Ends open deliveries as dead letters. The caller has chosen them; a delivery that ended meanwhile is passed over.
create or replace function bury(b_inbox integer[], b_sequence bigint[], why text, how text)
  returns integer language sql as $$
  with held as (
    -- Locked in one order by everybody: two that end the same deliveries cannot wait for each other in a circle.
    select d.inbox_no, d.sequence from deliveries d
    join unnest(b_inbox, b_sequence) as w (inbox_no, sequence) using (inbox_no, sequence)
    order by d.inbox_no, d.sequence for update of d
  ), gone as (
    delete from deliveries d using held h where d.inbox_no = h.inbox_no and d.sequence = h.sequence returning d.*
  ), ended as (
    insert into settled (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
      first_leased_at, last_leased_at, tries)
    select inbox_no, sequence, message_no, via, 'dead', attempts, lease_token, accepted_at, first_leased_at,
      last_leased_at, tries from gone
  ), letters as (
    insert into dead_letters (message_no, inbox_no, sequence, recipient, reason, detail, attempts)
    select g.message_no, g.inbox_no, g.sequence, i.agent_id, why, how, g.attempts
    from gone g join inboxes i on i.no = g.inbox_no
  )
  select count(*)::integer from gone
$$;
