-- Locks inboxes, by number. Each answer has one element an agent, in the order given; null where there is no such
-- inbox or its agent has left. Nothing is known of how many agents are asked for: nested loops would be quadratic.
create or replace function lock_inboxes(agents text[], out numbers integer[], out nexts bigint[], out rooms bigint[])
language plpgsql set enable_nestloop = off as $$
begin
  with locked as materialized (
    select i.no, i.agent_id, i.next_sequence, i.room_until, i.standing from inboxes i
    where i.agent_id = any(agents) order by i.no for update
  )
  select array_agg(l.no order by a.place), array_agg(l.next_sequence order by a.place),
    array_agg(l.room_until order by a.place)
  into numbers, nexts, rooms
  from unnest(agents) with ordinality as a (agent, place)
  left join locked l on l.agent_id = a.agent and l.standing <> 'left';
end $$;
