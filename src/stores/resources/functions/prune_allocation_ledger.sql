-- Deletes both entries of allocations that ended more than keep_seconds ago, at most at_most allocations: together they
-- add up to nothing, so every sum stays. Returns the number of allocations.
-- Locks: only the entries, which nothing else changes.
-- Tests: test/stores/resources/ledger.test.ts.
create or replace function prune_allocation_ledger(keep_seconds double precision, at_most integer) returns integer
language plpgsql as $$
declare
  pruned integer;
begin
  perform set_config('cluster_manager.retention', 'on', true);
  with past as (
    select allocation_id from allocation_ledger
    where delta < 0 and at < clock_timestamp() - make_interval(secs => keep_seconds) order by at limit at_most
  ), deleted as (
    delete from allocation_ledger l using past p where l.allocation_id = p.allocation_id returning l.delta
  )
  select count(*) filter (where delta < 0) into pruned from deleted;
  perform set_config('cluster_manager.retention', 'off', true);
  return pruned;
end $$;
