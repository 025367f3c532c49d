-- Allocates every amount of a request from its pools, or none of them. The answer is kept under the request's id, so the
-- same request again takes nothing and gets the same answer.
--
-- amounts: [{pool, resource, amount}], no pair twice, sorted by the caller so that equal requests are equal jsonb.
-- Returns {granted: true}; {short: [{pool, resource, asked, free, by: 'capacity' | 'quota'}]}; or
-- {refused: 'no_account' | 'closed' | 'conflict' (with at) | 'unknown' (with what)}.
-- Locks: account (shared), request, quotas by resource, pool capacities by (pool, resource); end_allocations goes on with
-- allocations by id. Every caller takes them in this order, so that none of them deadlocks.
-- Tests: test/stores/resources/allocations.test.ts, test/concurrency/allocations.test.ts.
create or replace function allocate(request text, cluster text, operation text, amounts jsonb,
  lease_seconds double precision) returns jsonb language plpgsql as $$
declare
  content jsonb := jsonb_build_object('clusterId', cluster, 'operationId', operation, 'amounts', amounts);
  known allocation_requests%rowtype;
  account_state text;
  lacking jsonb;
begin
  select * into known from allocation_requests where id = request;
  if not found then
    select state into account_state from accounts where cluster_id = cluster for share;
    if not found then return '{"refused": "no_account"}'; end if;
    if account_state = 'closed' then return '{"refused": "closed"}'; end if;
    insert into allocation_requests (id, cluster_id, content) values (request, cluster, content) on conflict do nothing;
    if not found then select * into known from allocation_requests where id = request; end if;
  end if;
  if known.id is not null then
    if known.content <> content then return jsonb_build_object('refused', 'conflict', 'at', known.at); end if;
    return known.answer;
  end if;

  insert into quotas (cluster_id, resource)
  select distinct cluster, a.resource from jsonb_to_recordset(amounts) as a (resource text) order by 2
  on conflict do nothing;
  perform 1 from quotas q where q.cluster_id = cluster
    and q.resource in (select a.resource from jsonb_to_recordset(amounts) as a (resource text))
  order by q.resource for no key update;
  perform 1 from pool_capacities c join jsonb_to_recordset(amounts) as a (pool text, resource text) using (pool, resource)
  order by c.pool, c.resource for no key update of c;

  select jsonb_agg(jsonb_build_object('pool', a.pool, 'resource', a.resource)) into lacking
  from jsonb_to_recordset(amounts) as a (pool text, resource text)
  where not exists (select 1 from pool_capacities c where c.pool = a.pool and c.resource = a.resource);
  if lacking is not null then
    delete from allocation_requests where id = request;
    return jsonb_build_object('refused', 'unknown', 'what', lacking);
  end if;

  with wanted as (
    select a.pool, a.resource, a.amount, sum(a.amount) over (partition by a.resource) as of_all_pools
    from jsonb_to_recordset(amounts) as a (pool text, resource text, amount numeric)
  ), shortages as (
    select w.pool, w.resource, w.amount, c.capacity - c.used as free, 'capacity' as by
    from wanted w join pool_capacities c using (pool, resource) where w.amount > c.capacity - c.used
    union all
    select w.pool, w.resource, w.amount, q.quota - q.allocated, 'quota'
    from wanted w join quotas q on q.cluster_id = cluster and q.resource = w.resource
    where w.of_all_pools > q.quota - q.allocated
  )
  select jsonb_agg(jsonb_build_object('pool', pool, 'resource', resource, 'asked', amount, 'free', free, 'by', by)
    order by pool, resource, by) into lacking from shortages;
  if lacking is not null then
    update allocation_requests set answer = jsonb_build_object('short', lacking) where id = request;
    return jsonb_build_object('short', lacking);
  end if;

  update pool_capacities c set used = c.used + a.amount
  from jsonb_to_recordset(amounts) as a (pool text, resource text, amount numeric)
  where c.pool = a.pool and c.resource = a.resource;
  update quotas q set allocated = q.allocated + a.amount
  from (select resource, sum(amount) as amount from jsonb_to_recordset(amounts) as b (resource text, amount numeric)
    group by 1) a
  where q.cluster_id = cluster and q.resource = a.resource;
  with taken as (
    insert into allocations (request_id, cluster_id, operation_id, pool, resource, amount, lease_expires_at)
    select request, cluster, operation, a.pool, a.resource, a.amount,
      clock_timestamp() + make_interval(secs => lease_seconds)
    from jsonb_to_recordset(amounts) as a (pool text, resource text, amount numeric) order by a.pool, a.resource
    returning *
  )
  insert into allocation_ledger (pool, resource, cluster_id, delta, reason, allocation_id)
  select pool, resource, cluster_id, amount, 'taken', id from taken;
  update allocation_requests set answer = '{"granted": true}' where id = request;
  return '{"granted": true}';
end $$;
