-- Stores a message of the manager and delivers it to recipients that are named, however full their inboxes are. The same
-- message again changes nothing. Agents without an inbox are passed over.
--
-- message: JSON object {id, source, type, clusterId, epoch, data}.
-- agents: the recipients; one that occurs twice gets one copy.
--
-- Locks: as accept_messages.
-- Tests: test/stores/communication/accept-messages.test.ts
create or replace function deliver(message jsonb, agents text[]) returns void language sql as $$
  select accept_messages(
    new_messages => jsonb_build_array(message - 'data' || jsonb_build_object(
      'kind', 'manager', 'single', false, 'ttlSeconds', 604800, 'matched', cardinality(r.agents))),
    bodies => array[(message -> 'data')::text],
    recipient_messages => array_fill(0, array[cardinality(r.agents)]),
    recipient_agents => r.agents,
    recipient_vias => array_fill('manager'::text, array[cardinality(r.agents)]),
    epochs => '{}', inbox_limit => null)
  from (select array(select distinct unnest(deliver.agents)) as agents) r
$$;
