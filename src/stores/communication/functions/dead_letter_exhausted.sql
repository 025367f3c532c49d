-- Ends deliveries that have had all their attempts. A step of lease_deliveries.
--
-- A lease that is being extended at this moment is waited for, and is not ended then.
-- Locks: deliveries by inbox and sequence.
-- Tests: test/stores/communication/lease-deliveries.test.ts
create or replace function dead_letter_exhausted(inbox integer, sequences bigint[], as_of timestamptz, max_attempts integer)
returns void language plpgsql as $$
begin
  sequences := array(
    select d.sequence from deliveries d where d.inbox_no = inbox and d.sequence = any(sequences)
      and coalesce(d.lease_expires_at <= as_of, true) order by d.sequence for update);
  perform dead_letter_deliveries(array_fill(inbox, array[cardinality(sequences)]), sequences, 'tries_exhausted',
    'Delivered ' || max_attempts || ' times and never acked');
end $$;
