-- Writes the dead letters of messages without recipients, and keeps messages for those who subscribe to their topic later.
-- A step of accept_messages, which describes the parameters.
--
-- message_nos: of the new messages; null for one that is not stored.
--
-- Locks: the topics (key share), so that a topic is not deleted before what it keeps is committed.
-- Tests: test/stores/communication/accept-messages.test.ts, topics.test.ts
create or replace function keep_unrouted_messages(new_messages jsonb, message_nos bigint[]) returns void
language plpgsql as $$
declare
  retained_nos bigint[];
begin
  insert into dead_letters (message_no, reason, detail)
  select message_nos[m.ordinality], m."deadLetter" ->> 'reason', m."deadLetter" ->> 'detail'
  from rows from (jsonb_to_recordset(new_messages) as ("deadLetter" jsonb)) with ordinality m
  where m."deadLetter" is not null and message_nos[m.ordinality] is not null;

  retained_nos := array(
    select message_nos[m.ordinality] from rows from (jsonb_to_recordset(new_messages) as (retain boolean)) with ordinality m
    where m.retain);
  insert into retained_messages (topic, message_no, retained_at)
  select m.topic, m.no, m.time from messages m join topics t on t.name = m.topic
  where m.no = any(retained_nos) for key share of t;
  -- Without recipients such a message relied on its topic, which was deleted in the meantime.
  insert into dead_letters (message_no, reason, detail)
  select m.no, 'unknown_topic', 'The topic "' || m.topic || '" was deleted while this was published'
  from messages m
  where m.no = any(retained_nos) and m.matched = 0 and not exists (select from retained_messages r where r.message_no = m.no);
end $$;
