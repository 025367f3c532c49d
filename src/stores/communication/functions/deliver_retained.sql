-- Delivers what topics retain to one who subscribes now, oldest first. What it was given before is looked for under the
-- inbox's lock and no sooner: who subscribes twice at once is given it once.
create or replace function deliver_retained(reader text, taken text[]) returns integer language plpgsql as $$
declare
  box integer;
  next bigint;
  amount integer;
begin
  select i.no, i.next_sequence into box, next from inboxes i
    where i.agent_id = reader and i.standing <> 'left' for update;
  if not found then return 0; end if;
  insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at)
    select box, next + row_number() over (order by r.at, m.no) - 1, m.no, 'retained', m.partition_key,
      now() + interval '1 hour'
    from retained r join messages m on m.no = r.message_no
    where r.topic = any(taken) and m.source <> reader
      and not exists (select from deliveries d where d.message_no = m.no and d.inbox_no = box)
      and not exists (select from settled s where s.message_no = m.no and s.inbox_no = box);
  get diagnostics amount = row_count;
  update inboxes i set next_sequence = next + amount where i.no = box and amount > 0;
  return amount;
end $$;
