-- Turns the schema of 0003-scaling, the last of the builds before 0001-initial, into that of 0001-initial. Data stays; the
-- functions are created again from their files, with the triggers that call them.
drop function count_fleet() cascade;
drop function recount_agent() cascade;
drop function count_membership() cascade;
drop function count_new_memberships() cascade;
drop function members_of(text);
drop function open_step(text, text, integer);

alter table agents rename column tells_load to reports_load;
alter table agents rename column handed_over_at to last_delivery_at;
