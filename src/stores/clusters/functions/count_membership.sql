-- Keeps each agent's count and held amounts equal to its live memberships whoever writes them, and takes the
-- agent's row lock in doing so: two formations that want the last place meet at the check constraint.
create or replace function count_membership() returns trigger language plpgsql as $$
declare
  was boolean := tg_op <> 'INSERT' and old.state <> 'released';
  now_live boolean := tg_op <> 'DELETE' and new.state <> 'released';
begin
  if was and not now_live then
    update agents set cluster_count = cluster_count - 1,
      held = case when old.resources = '{}'::jsonb then held else add_amounts(held, old.resources, -1) end
    where id = old.agent_id;
  elsif now_live and not was then
    update agents set cluster_count = cluster_count + 1,
      held = case when new.resources = '{}'::jsonb then held else add_amounts(held, new.resources, 1) end
    where id = new.agent_id;
  end if;
  return null;
end $$;

create or replace trigger memberships_uncounted after delete on memberships
  for each row execute function count_membership();
create or replace trigger memberships_recounted after update of state on memberships
  for each row when ((old.state = 'released') <> (new.state = 'released')) execute function count_membership();
