-- Delivers what topics retain to an agent that subscribes, oldest first. Messages that the agent sent or was given before
-- are left out.
--
-- subscriber: agent id.
-- topic_names: the topics that the subscription takes.
-- Returns how many messages were delivered.
--
-- Locks: the inbox, before looking for what the agent was given: of two subscriptions at the same time, one delivers.
-- Tests: test/stores/communication/topics.test.ts
create or replace function deliver_retained(subscriber text, topic_names text[]) returns integer language plpgsql as $$
declare
  inbox inboxes%rowtype;
  delivered integer;
begin
  select * into inbox from inboxes i where i.agent_id = subscriber and i.agent_status <> 'left' for update;
  if not found then return 0; end if;
  insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at)
    select inbox.no, inbox.next_sequence + row_number() over (order by r.retained_at, m.no) - 1, m.no, 'retained',
      m.partition_key, now() + interval '1 hour'
    from retained_messages r join messages m on m.no = r.message_no
    where r.topic = any(topic_names) and m.source <> subscriber
      and not exists (select from deliveries d where d.message_no = m.no and d.inbox_no = inbox.no)
      and not exists (select from delivery_history h where h.message_no = m.no and h.inbox_no = inbox.no);
  get diagnostics delivered = row_count;
  update inboxes i set next_sequence = i.next_sequence + delivered where i.no = inbox.no and delivered > 0;
  return delivered;
end $$;
