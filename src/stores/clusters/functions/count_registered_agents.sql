-- Counts agents that are registered, in the shard of each. Shards are updated in order, so that two registrations of many
-- agents do not deadlock.
create or replace function count_registered_agents() returns trigger language plpgsql as $$
begin
  insert into fleet_counts as f (shard, agents)
    select match_order % 16, count(*) filter (where left_at is null) from new_rows group by 1 order by 1
    on conflict (shard) do update set agents = f.agents + excluded.agents where excluded.agents <> 0;
  return null;
end $$;

create or replace trigger registered_agents_counted after insert on agents
  referencing new table as new_rows for each statement execute function count_registered_agents();
