-- Adds new memberships to the cluster counts and held amounts of their agents, in one statement unless they hold
-- resources: then row by row, since two rows may be of one agent.
-- Locks: the agents' rows; the caller has locked them in id order before.
-- Tests: test/concurrency/reservations.test.ts, test/invariants/clusters-db.ts.
create or replace function apply_new_memberships() returns trigger language plpgsql as $$
declare
  fresh record;
begin
  if exists (select 1 from new_rows where resources <> '{}'::jsonb) then
    for fresh in select agent_id, resources from new_rows where state <> 'released' order by agent_id loop
      update agents set cluster_count = cluster_count + 1,
        held = case when fresh.resources = '{}'::jsonb then held else add_amounts(held, fresh.resources, 1) end
      where id = fresh.agent_id;
    end loop;
  else
    update agents a set cluster_count = a.cluster_count + counted.memberships
    from (select agent_id, count(*) as memberships from new_rows where state <> 'released'
      group by agent_id order by agent_id) counted
    where a.id = counted.agent_id;
  end if;
  return null;
end $$;

create or replace trigger new_memberships_applied after insert on memberships
  referencing new table as new_rows for each statement execute function apply_new_memberships();
