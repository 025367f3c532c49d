-- Ends held grants and gives their amounts back; those that ended before are passed over, as are, when leases are to
-- expire, those that were extended meanwhile. Answers the ids that it ended.
create or replace function end_grants(ids bigint[], to_state text) returns setof bigint language plpgsql as $$
begin
  perform 1 from holdings h
  where (h.cluster_id, h.resource) in (select g.cluster_id, g.resource from grants g where g.id = any(ids))
  order by h.cluster_id, h.resource for no key update;
  perform 1 from pool_capacities c
  where (c.pool, c.resource) in (select g.pool, g.resource from grants g where g.id = any(ids))
  order by c.pool, c.resource for no key update;
  perform 1 from grants g where g.id = any(ids) order by g.id for no key update;
  return query
  with ended as (
    update grants g set state = to_state, ended_at = clock_timestamp()
    where g.id = any(ids) and g.state = 'held' and (to_state <> 'expired' or g.lease_expires_at <= clock_timestamp())
    returning g.*
  ), given_back as (
    update pool_capacities c set used = c.used - e.amount
    from (select pool, resource, sum(amount) as amount from ended group by 1, 2) e
    where c.pool = e.pool and c.resource = e.resource
  ), held_less as (
    update holdings h set held = h.held - e.amount
    from (select cluster_id, resource, sum(amount) as amount from ended group by 1, 2) e
    where h.cluster_id = e.cluster_id and h.resource = e.resource
  ), entered as (
    insert into ledger (pool, resource, cluster_id, delta, reason, grant_id)
    select pool, resource, cluster_id, -amount, to_state, id from ended
  )
  select e.id from ended e order by e.id;
end $$;
