import { sql } from 'kysely';

/*
 * Everybody locks in this order: the account, holdings by (cluster, resource), capacities by (pool, resource), grants by
 * id. So two that want the same things wait for each other, and never in a circle.
 */
export const granting = [
  /*
   * Grants all that is asked for, or nothing, and keeps the answer under the request's id.
   * Answers {refused: 'conflict' | 'no_account' | 'closed' | 'unknown'} or {short: [...]} or {granted: true}.
   */
  sql`
    create function take_grants(request text, cluster text, operation text, asked jsonb, lease_seconds double precision)
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
    end $$`,

  /*
   * Ends held grants and gives their amounts back; those that ended before are passed over, as are, when leases are to
   * expire, those that were extended meanwhile. Answers the ids that it ended.
   */
  sql`
    create function end_grants(ids bigint[], to_state text) returns setof bigint language plpgsql as $$
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
    end $$`,
];
