-- What was taken and given back long ago is nothing together: both entries go. Answers how many grants.
create or replace function trim_ledger(keep_seconds double precision, at_most integer) returns integer language plpgsql as $$
declare trimmed integer;
begin
  perform set_config('cluster_manager.retention', 'on', true);
  with past as (
    select grant_id from ledger
    where delta < 0 and at < clock_timestamp() - make_interval(secs => keep_seconds) order by at limit at_most
  ), gone as (
    delete from ledger l using past p where l.grant_id = p.grant_id returning l.delta
  )
  select count(*) filter (where delta < 0) into trimmed from gone;
  perform set_config('cluster_manager.retention', 'off', true);
  return trimmed;
end $$;
