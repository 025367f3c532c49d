create or replace function count_fleet() returns trigger language plpgsql as $$
begin
  insert into fleet_counts as f (shard, agents)
    select match_order % 16, count(*) filter (where left_at is null) from new_rows group by 1 order by 1
    on conflict (shard) do update set agents = f.agents + excluded.agents where excluded.agents <> 0;
  return null;
end $$;

create or replace trigger fleet_counted after insert on agents
  referencing new table as new_rows for each statement execute function count_fleet();
