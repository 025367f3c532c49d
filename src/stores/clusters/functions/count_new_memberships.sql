-- New memberships are counted in one statement for all of them. Who reserves has locked the agents in id order
-- before. Amounts are added row by row: two rows may be one agent's.
create or replace function count_new_memberships() returns trigger language plpgsql as $$
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

create or replace trigger memberships_counted after insert on memberships
  referencing new table as new_rows for each statement execute function count_new_memberships();
