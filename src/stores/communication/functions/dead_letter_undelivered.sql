-- Settles the copies that were not delivered: a message that is rejected when its recipient's inbox is full is deleted
-- again; every other copy of an agent's message becomes a dead letter. A step of accept_messages.
--
-- copies: all copies of the messages, from place_copies.
-- inbox_limit: for the text of the dead letters.
--
-- Locks: only rows that this transaction inserted.
-- Tests: test/stores/communication/accept-messages.test.ts
create or replace function dead_letter_undelivered(copies message_copy[], inbox_limit integer) returns void
language plpgsql as $$
begin
  delete from messages m using unnest(copies) c
  where m.no = c.message_no and c.single and c.inbox_no is not null and not c.has_room;

  update messages m set matched = m.matched - c.unknown
  from (select c.message_no, count(*) as unknown from unnest(copies) c where c.inbox_no is null group by c.message_no) c
  where m.no = c.message_no;

  insert into dead_letters (message_no, recipient, reason, detail)
  select c.message_no, c.agent_id, w.reason, w.detail
  from unnest(copies) c join messages m on m.no = c.message_no and m.kind <> 'manager',
    lateral (select
      case when c.inbox_no is null then 'unknown_recipient' else 'mailbox_full' end as reason,
      case when c.inbox_no is null then 'There is no agent "' || c.agent_id || '", or it has left'
        else 'The inbox of "' || c.agent_id || '" already holds ' || inbox_limit || ' open messages' end as detail) w
  where not c.has_room;
end $$;
