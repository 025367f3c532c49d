-- Old entries of a budget become one that carries their sum. Answers how many went.
create or replace function trim_budget_ledger(keep_seconds double precision, at_most integer) returns integer
language plpgsql as $$
declare trimmed integer;
begin
  perform set_config('cluster_manager.retention', 'on', true);
  with past as (
    select no from budget_ledger where at < clock_timestamp() - make_interval(secs => keep_seconds)
    order by at limit at_most for update skip locked
  ), gone as (
    delete from budget_ledger l using past p where l.no = p.no returning l.*
  ), carried as (
    insert into budget_ledger (budget_id, reservation_id, reserved, committed, overdrawn, reason)
    select budget_id, '', sum(reserved), sum(committed), sum(overdrawn), 'carried' from gone group by 1
  )
  select count(*) into trimmed from gone;
  perform set_config('cluster_manager.retention', 'off', true);
  return trimmed;
end $$;
