-- The mailbox a delivery may still go to: room is counted only when what was last counted is used up, since
-- whatever is acked in the meantime only makes more of it.
create or replace function make_room(wanted integer[], amounts integer[], most integer) returns void language sql as $$
  update inboxes i set room_until = i.next_sequence
    + greatest(0, most - (select count(*) from deliveries d where d.inbox_no = i.no))
  from unnest(wanted, amounts) as w (no, amount)
  where i.no = w.no and i.next_sequence + w.amount > i.room_until
$$;
