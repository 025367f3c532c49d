-- The second key of a cluster's advisory lock: one of 256, so that several clusters may share a lock.
create or replace function routing_lock_key(cluster_id text) returns integer immutable language sql as $$
  select hashtext(cluster_id) & 255 $$;
