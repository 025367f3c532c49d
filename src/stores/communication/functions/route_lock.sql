create or replace function route_lock(cluster_id text) returns integer immutable language sql as $$
select hashtext(cluster_id) & 255 $$;
