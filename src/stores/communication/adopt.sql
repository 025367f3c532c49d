-- Turns the schema of 0003-batches-in-parts, the last of the builds before 0001-initial, into that of 0001-initial.
drop function route_and_deliver, deliver, accept_mail, lock_inboxes, make_room, route_lock, route_locks, lease_mail, ack_mail,
  bury, deliver_retained, close_inbox;

alter table inboxes rename column room_until to sequence_limit;
alter table inboxes rename column standing to agent_status;
alter table inboxes rename constraint inboxes_standing_check to inboxes_agent_status_check;
alter index inboxes_suspended rename to inboxes_not_live;

alter table messages rename column routed to cluster_epochs;
alter table deliveries rename column tries to failed_attempts;

alter table settled rename to delivery_history;
alter table delivery_history rename column tries to failed_attempts;
alter table delivery_history rename constraint settled_pkey to delivery_history_pkey;
alter table delivery_history rename constraint settled_outcome_check to delivery_history_outcome_check;
alter index settled_of_message rename to delivery_history_of_message;
alter index settled_by_time rename to delivery_history_by_time;

alter table dead_letters rename column at to created_at;

alter table retained rename to retained_messages;
alter table retained_messages rename column at to retained_at;
alter table retained_messages rename constraint retained_pkey to retained_messages_pkey;
alter table retained_messages rename constraint retained_topic_fkey to retained_messages_topic_fkey;

create type message_copy as (message_no bigint, single boolean, agent_id text, via text, partition_key text,
  ttl_seconds double precision, inbox_no integer, sequence bigint, has_room boolean);
create type acked_delivery as (claim_index integer, cluster_id text, acked_after_ms double precision);
