-- Ends held allocations and returns their amounts to the pools. Passes over those that have ended already and, with
-- to_state 'expired', over those whose lease has been extended meanwhile.
--
-- to_state: 'released' or 'expired'. Returns the ids that it ended.
-- Locks: quotas by (cluster, resource), pool capacities by (pool, resource), allocations by id; see allocate.
-- Tests: test/stores/resources/allocations.test.ts, test/concurrency/allocations.test.ts.
create or replace function end_allocations(ids bigint[], to_state text) returns setof bigint language plpgsql as $$
begin
  perform 1 from quotas q
  where (q.cluster_id, q.resource) in (select a.cluster_id, a.resource from allocations a where a.id = any(ids))
  order by q.cluster_id, q.resource for no key update;
  perform 1 from pool_capacities c
  where (c.pool, c.resource) in (select a.pool, a.resource from allocations a where a.id = any(ids))
  order by c.pool, c.resource for no key update;
  perform 1 from allocations a where a.id = any(ids) order by a.id for no key update;
  return query
  with ended as (
    update allocations a set state = to_state, ended_at = clock_timestamp()
    where a.id = any(ids) and a.state = 'held' and (to_state <> 'expired' or a.lease_expires_at <= clock_timestamp())
    returning a.*
  ), pools_updated as (
    update pool_capacities c set used = c.used - e.amount
    from (select pool, resource, sum(amount) as amount from ended group by 1, 2) e
    where c.pool = e.pool and c.resource = e.resource
  ), quotas_updated as (
    update quotas q set allocated = q.allocated - e.amount
    from (select cluster_id, resource, sum(amount) as amount from ended group by 1, 2) e
    where q.cluster_id = e.cluster_id and q.resource = e.resource
  ), entered as (
    insert into allocation_ledger (pool, resource, cluster_id, delta, reason, allocation_id)
    select pool, resource, cluster_id, -amount, to_state, id from ended
  )
  select e.id from ended e order by e.id;
end $$;
