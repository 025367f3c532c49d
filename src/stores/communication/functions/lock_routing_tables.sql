-- Locks the routing tables that messages were routed by against replacement until the transaction ends.
--
-- epochs: JSON object, the epoch of the table that was used, by cluster.
-- Returns whether these are still the tables in force.
--
-- Locks: shared advisory locks of the clusters, by key. Advisory locks, because shared row locks would let new readers
-- overtake a writer that waits; 256 of them, so that a message to thousands of clusters holds no more.
-- Tests: test/stores/communication/accept-messages.test.ts
create or replace function lock_routing_tables(epochs jsonb) returns boolean language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(routing_lock_class(), key)
    from (select distinct routing_lock_key(cluster_id) as key from jsonb_object_keys(epochs) cluster_id order by 1) keys;
  return not exists (
    select from jsonb_each_text(epochs) as used (cluster_id, epoch)
    left join routed_clusters c on c.cluster_id = used.cluster_id and c.state = 'open'
    where c.epoch is distinct from used.epoch::integer);
end $$;
