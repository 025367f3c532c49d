-- Ends open deliveries as dead letters. One that ended in the meantime is passed over.
--
-- inbox_nos, sequences: the deliveries, one element each.
-- reason, detail: for the dead letters.
-- Returns how many were ended.
--
-- Locks: deliveries by inbox and sequence. The caller may hold locks on inboxes or cursors, but takes none afterwards.
-- Tests: test/stores/communication/dead-letters.test.ts
create or replace function dead_letter_deliveries(inbox_nos integer[], sequences bigint[], reason text, detail text)
returns integer language sql as $$
  with locked as (
    select d.inbox_no, d.sequence from deliveries d
    join unnest(inbox_nos, sequences) as w (inbox_no, sequence) using (inbox_no, sequence)
    order by d.inbox_no, d.sequence for update of d
  ), deleted as (
    delete from deliveries d using locked l where d.inbox_no = l.inbox_no and d.sequence = l.sequence returning d.*
  ), recorded as (
    insert into delivery_history (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
      first_leased_at, last_leased_at, failed_attempts)
    select inbox_no, sequence, message_no, via, 'dead', attempts, lease_token, accepted_at, first_leased_at,
      last_leased_at, failed_attempts from deleted
  ), letters as (
    insert into dead_letters (message_no, inbox_no, sequence, recipient, reason, detail, attempts)
    select d.message_no, d.inbox_no, d.sequence, i.agent_id, dead_letter_deliveries.reason, dead_letter_deliveries.detail,
      d.attempts
    from deleted d join inboxes i on i.no = d.inbox_no
  )
  select count(*)::integer from deleted
$$;
