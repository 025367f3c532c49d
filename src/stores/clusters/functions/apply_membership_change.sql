-- Keeps the cluster count and the held amounts of an agent equal to its live memberships (those that are not released)
-- when one of them ends, comes back or is deleted. New memberships: apply_new_memberships.
-- Locks: the agent's row. Two transactions that want an agent's last place meet at its check constraint.
-- Tests: test/concurrency/reservations.test.ts, test/invariants/clusters-db.ts.
create or replace function apply_membership_change() returns trigger language plpgsql as $$
declare
  was_live boolean := old.state <> 'released';
  is_live boolean := tg_op <> 'DELETE' and new.state <> 'released';
begin
  if was_live and not is_live then
    update agents set cluster_count = cluster_count - 1,
      held = case when old.resources = '{}'::jsonb then held else add_amounts(held, old.resources, -1) end
    where id = old.agent_id;
  elsif is_live and not was_live then
    update agents set cluster_count = cluster_count + 1,
      held = case when new.resources = '{}'::jsonb then held else add_amounts(held, new.resources, 1) end
    where id = new.agent_id;
  end if;
  return null;
end $$;

create or replace trigger membership_deletions_applied after delete on memberships
  for each row execute function apply_membership_change();
create or replace trigger membership_changes_applied after update of state on memberships
  for each row when ((old.state = 'released') <> (new.state = 'released')) execute function apply_membership_change();
