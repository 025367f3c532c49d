-- The routing table of an epoch and the mail that tells its members, in one transaction and one round trip.
create or replace function route_and_deliver(wanted text, wanted_epoch integer, wanted_members jsonb, mail jsonb)
  returns text language plpgsql as $$
declare
  present routed_clusters%rowtype;
  is_same boolean;
begin
  perform pg_advisory_xact_lock(route_locks(), route_lock(wanted));
  select * into present from routed_clusters where cluster_id = wanted for no key update;
  if not found or present.state <> 'open' then return 'closed'; end if;
  select members = wanted_members into is_same from routing_tables
    where cluster_id = wanted and epoch = wanted_epoch;
  if is_same is null then
    -- Tables only go forward: what was planned before the present one is stale.
    if wanted_epoch <= present.epoch then return 'other'; end if;
    insert into routing_tables (cluster_id, epoch, members) values (wanted, wanted_epoch, wanted_members);
    update routed_clusters set epoch = wanted_epoch where cluster_id = wanted;
    delete from routed_members where cluster_id = wanted;
    insert into routed_members (cluster_id, agent_id, roles)
      select wanted, m ->> 'agentId', coalesce(m -> 'roles', '[]') from jsonb_array_elements(wanted_members) m;
  elsif not is_same then return 'other';
  end if;
  -- All of them at once and in order: one after the other would be in a circle with who sends to several.
  perform 1 from inboxes i where i.agent_id in (
    select jsonb_array_elements_text(m -> 'recipients') from jsonb_array_elements(mail) m) order by i.no for update;
  perform deliver(m -> 'message', array(select jsonb_array_elements_text(m -> 'recipients')))
    from jsonb_array_elements(mail) m;
  return 'done';
end $$;
