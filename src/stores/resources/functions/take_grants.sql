-- Grants all that is asked for, or nothing, and keeps the answer under the request's id.
-- Answers {refused: 'conflict' | 'no_account' | 'closed' | 'unknown'} or {short: [...]} or {granted: true}.
create or replace function take_grants(request text, cluster text, operation text, asked jsonb, lease_seconds double precision)
returns jsonb language plpgsql as $$
declare
  wanted jsonb := jsonb_build_object('clusterId', cluster, 'operationId', operation, 'amounts', asked);
  known grant_requests%rowtype;
  account_state text;
  lacking jsonb;
begin
  select * into known from grant_requests where id = request;
  if not found then
    select state into account_state from accounts where cluster_id = cluster for share;
    if not found then return jsonb_build_object('refused', 'no_account'); end if;
    if account_state = 'closed' then return jsonb_build_object('refused', 'closed'); end if;
    insert into grant_requests (id, cluster_id, content) values (request, cluster, wanted) on conflict do nothing;
    if not found then select * into known from grant_requests where id = request; end if;
  end if;
  if known.id is not null then
    if known.content <> wanted then return jsonb_build_object('refused', 'conflict', 'at', known.at); end if;
    return known.answer;
  end if;

  insert into holdings (cluster_id, resource)
  select distinct cluster, a.resource from jsonb_to_recordset(asked) as a (pool text, resource text) order by 2
  on conflict do nothing;
  perform 1 from holdings h where h.cluster_id = cluster
    and h.resource in (select a.resource from jsonb_to_recordset(asked) as a (resource text))
  order by h.resource for no key update;
  perform 1 from pool_capacities c join jsonb_to_recordset(asked) as a (pool text, resource text) using (pool, resource)
  order by c.pool, c.resource for no key update of c;

  select jsonb_agg(jsonb_build_object('pool', a.pool, 'resource', a.resource)) into lacking
  from jsonb_to_recordset(asked) as a (pool text, resource text)
  where not exists (select 1 from pool_capacities c where c.pool = a.pool and c.resource = a.resource);
  if lacking is not null then
    delete from grant_requests where id = request;
    return jsonb_build_object('refused', 'unknown', 'what', lacking);
  end if;

  with wants as (
    select a.pool, a.resource, a.amount, sum(a.amount) over (partition by a.resource) as together
    from jsonb_to_recordset(asked) as a (pool text, resource text, amount numeric)
  ), measured as (
    select w.pool, w.resource, w.amount as needed, c.capacity - c.used as free, 'capacity' as by
    from wants w join pool_capacities c using (pool, resource) where w.amount > c.capacity - c.used
    union all
    select w.pool, w.resource, w.amount, h.quota - h.held, 'quota'
    from wants w join holdings h on h.cluster_id = cluster and h.resource = w.resource
    where w.together > h.quota - h.held
  )
  select jsonb_agg(jsonb_build_object('pool', pool, 'resource', resource, 'asked', needed, 'free', free, 'by', by)
    order by pool, resource, by) into lacking from measured;
  if lacking is not null then
    update grant_requests set answer = jsonb_build_object('short', lacking) where id = request;
    return jsonb_build_object('short', lacking);
  end if;

  update pool_capacities c set used = c.used + a.amount
  from jsonb_to_recordset(asked) as a (pool text, resource text, amount numeric)
  where c.pool = a.pool and c.resource = a.resource;
  update holdings h set held = h.held + a.amount
  from (select resource, sum(amount) as amount from jsonb_to_recordset(asked) as b (resource text, amount numeric)
    group by 1) a
  where h.cluster_id = cluster and h.resource = a.resource;
  with taken as (
    insert into grants (request_id, cluster_id, operation_id, pool, resource, amount, lease_expires_at)
    select request, cluster, operation, a.pool, a.resource, a.amount,
      clock_timestamp() + make_interval(secs => lease_seconds)
    from jsonb_to_recordset(asked) as a (pool text, resource text, amount numeric) order by a.pool, a.resource
    returning *
  )
  insert into ledger (pool, resource, cluster_id, delta, reason, grant_id)
  select pool, resource, cluster_id, amount, 'taken', id from taken;
  update grant_requests set answer = '{"granted": true}' where id = request;
  return '{"granted": true}';
end $$;
