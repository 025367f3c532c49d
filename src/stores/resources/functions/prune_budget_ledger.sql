-- Replaces the entries of a budget that are older than keep_seconds, at most at_most in all, by one that carries their
-- sum. Returns the number of entries deleted.
-- Locks: the entries, passing over those that another process prunes.
-- Tests: test/stores/resources/budgets.test.ts.
create or replace function prune_budget_ledger(keep_seconds double precision, at_most integer) returns integer
language plpgsql as $$
declare
  pruned integer;
begin
  perform set_config('cluster_manager.retention', 'on', true);
  with past as (
    select no from budget_ledger where at < clock_timestamp() - make_interval(secs => keep_seconds)
    order by at limit at_most for update skip locked
  ), deleted as (
    delete from budget_ledger l using past p where l.no = p.no returning l.*
  ), carried as (
    insert into budget_ledger (budget_id, hold_id, reserved, committed, overdrawn, reason)
    select budget_id, '', sum(reserved), sum(committed), sum(overdrawn), 'carried' from deleted group by 1
  )
  select count(*) into pruned from deleted;
  perform set_config('cluster_manager.retention', 'off', true);
  return pruned;
end $$;
