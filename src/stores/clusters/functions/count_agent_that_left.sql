-- Keeps the count of registered agents when one leaves or comes back.
create or replace function count_agent_that_left() returns trigger language plpgsql as $$
begin
  update fleet_counts set agents = agents + case when new.left_at is null then 1 else -1 end
  where shard = new.match_order % 16;
  return null;
end $$;

create or replace trigger agents_that_left_counted after update of left_at on agents for each row
  when ((old.left_at is null) <> (new.left_at is null)) execute function count_agent_that_left();
