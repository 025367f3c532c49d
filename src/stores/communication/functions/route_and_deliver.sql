-- Puts the routing table of an epoch in force and delivers the messages that announce it, in one round trip.
--
-- new_cluster_id, new_epoch, new_members: the table, members as JSON array of {agentId, roles}. Written once; the same
--   again changes nothing, so that a step may be repeated.
-- announcements: JSON array of {message, recipients} as `deliver` takes them.
--
-- Returns done; closed when the cluster is not open to routing; other when the epoch was written with other members or a
-- later one is in force: the caller's plan is stale. Unless done, nothing was changed.
--
-- Locks: the cluster's routing table (exclusive), its row, then the inboxes of all announcements by number: one
-- announcement after the other would deadlock with a message to several recipients.
-- Tests: test/stores/communication/accept-messages.test.ts, test/activities/routing.test.ts
create or replace function route_and_deliver(new_cluster_id text, new_epoch integer, new_members jsonb, announcements jsonb)
returns text language plpgsql as $$
declare
  cluster routed_clusters%rowtype;
  is_same boolean;
begin
  perform pg_advisory_xact_lock(routing_lock_class(), routing_lock_key(new_cluster_id));
  select * into cluster from routed_clusters c where c.cluster_id = new_cluster_id for no key update;
  if not found or cluster.state <> 'open' then return 'closed'; end if;
  select t.members = new_members into is_same from routing_tables t
    where t.cluster_id = new_cluster_id and t.epoch = new_epoch;
  if is_same is null and new_epoch <= cluster.epoch or not is_same then return 'other'; end if;
  if is_same is null then
    insert into routing_tables (cluster_id, epoch, members) values (new_cluster_id, new_epoch, new_members);
    update routed_clusters c set epoch = new_epoch where c.cluster_id = new_cluster_id;
    delete from routed_members m where m.cluster_id = new_cluster_id;
    insert into routed_members (cluster_id, agent_id, roles)
      select new_cluster_id, m ->> 'agentId', coalesce(m -> 'roles', '[]') from jsonb_array_elements(new_members) m;
  end if;
  perform from inboxes i where i.agent_id in (
    select jsonb_array_elements_text(a -> 'recipients') from jsonb_array_elements(announcements) a) order by i.no for update;
  perform deliver(a -> 'message', array(select jsonb_array_elements_text(a -> 'recipients')))
    from jsonb_array_elements(announcements) a;
  return 'done';
end $$;
