-- Whether each amount of `part` is at most that of `whole`; an amount that `whole` does not name is 0. The constraint
-- below keeps what the memberships of an agent hold within what the agent offers, whoever writes it.
-- Tests: test/concurrency/reservations.test.ts.
create or replace function fits_within(part jsonb, whole jsonb) returns boolean language sql immutable as $$
  select not exists (
    select 1 from jsonb_each_text(part) p where p.value::numeric > coalesce((whole ->> p.key)::numeric, 0)
  )
$$;

do $$ begin
  alter table agents add constraint agents_held_within_offer check (held = '{}'::jsonb or fits_within(held, resources));
exception when duplicate_object then null;
end $$;
