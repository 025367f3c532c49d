-- The sum of two sets of amounts by resource, {name: amount}: a + sign * b, without those that are 0.
-- Tests: test/concurrency/reservations.test.ts.
create or replace function add_amounts(a jsonb, b jsonb, sign integer) returns jsonb language sql immutable as $$
  select coalesce(jsonb_object_agg(key, total), '{}'::jsonb)
  from (
    select key, sum(amount) as total
    from (
      select key, value::numeric as amount from jsonb_each_text(a)
      union all
      select key, sign * value::numeric from jsonb_each_text(b)
    ) parts group by key
  ) totals where total <> 0
$$;
