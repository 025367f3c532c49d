-- Closes the inbox of an agent that has left: nothing more is delivered to it, its subscriptions end, and messages to a
-- capability no longer go to it. Statements run one after the other, so that a subscription that is being inserted is
-- waited for, and deleted.
--
-- Locks: the inbox.
-- Tests: test/stores/communication/topics.test.ts
create or replace function close_inbox(agent text) returns void language plpgsql as $$
declare
  closed integer;
begin
  update inboxes i set agent_status = 'left', lapsed_at = null where i.agent_id = agent returning i.no into closed;
  delete from subscriptions s where s.inbox_no = closed;
  delete from capability_inboxes c where c.inbox_no = closed;
end $$;
