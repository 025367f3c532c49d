-- One after the other: a subscription that is being made at this moment is waited for, and seen.
create or replace function close_inbox(agent text) returns void language plpgsql as $$
declare
  box integer;
begin
  update inboxes i set standing = 'left', lapsed_at = null where i.agent_id = agent returning i.no into box;
  delete from subscriptions s where s.inbox_no = box;
  delete from capability_inboxes c where c.inbox_no = box;
end $$;
