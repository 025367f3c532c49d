-- Turns the schema of 0004-open-decisions, the last of the builds before 0001-initial, into that of 0001-initial. Data
-- stays; the functions are created again from their files.
drop function take_grants(text, text, text, jsonb, double precision);
drop function end_grants(bigint[], text);
drop function trim_ledger(double precision, integer);
drop function trim_budget_ledger(double precision, integer);
drop function refuse_change() cascade;

alter table holdings rename column held to allocated;
alter table holdings rename constraint held_within_quota to allocated_within_quota;
alter table holdings rename constraint holdings_held_check to holdings_allocated_check;
alter table ledger rename column grant_id to allocation_id;
alter table ledger rename constraint ledger_grant_id_reason_key to ledger_allocation_id_reason_key;
alter table budget_ledger rename column reservation_id to hold_id;

-- Each table under its new name, with its constraints, indexes and sequences.
do $$
declare
  renamed record;
  one record;
begin
  for renamed in
    select * from (values ('grants', 'allocations'), ('grant_requests', 'allocation_requests'),
      ('ledger', 'allocation_ledger'), ('holdings', 'quotas'), ('reservations', 'holds'),
      ('resource_requests', 'capacity_requests'), ('blocks', 'scaling_blocks'), ('scores', 'stability_scores')
    ) as t (old_name, new_name)
  loop
    for one in select conname as name from pg_constraint
      where conrelid = renamed.old_name::regclass and starts_with(conname, renamed.old_name || '_')
    loop
      execute format('alter table %I rename constraint %I to %I', renamed.old_name, one.name,
        renamed.new_name || substr(one.name, length(renamed.old_name) + 1));
    end loop;
    for one in select relname as name from pg_class c
      where relnamespace = 'public'::regnamespace and starts_with(relname, renamed.old_name || '_') and (relkind = 'S'
        or exists (select 1 from pg_index i where i.indexrelid = c.oid and i.indrelid = renamed.old_name::regclass))
    loop
      execute format('alter index %I rename to %I', one.name,
        renamed.new_name || substr(one.name, length(renamed.old_name) + 1));
    end loop;
    execute format('alter table %I rename to %I', renamed.old_name, renamed.new_name);
  end loop;
end $$;
