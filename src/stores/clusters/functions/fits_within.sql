create or replace function fits_within(part jsonb, whole jsonb) returns boolean language sql immutable as $$
  select not exists (
    select 1 from jsonb_each_text(part) p where p.value::numeric > coalesce((whole ->> p.key)::numeric, 0)
  )
$$;

do $$ begin
  alter table agents add constraint agents_held_within_offer check (held = '{}'::jsonb or fits_within(held, resources));
exception when duplicate_object then null;
end $$;
