-- The manager's own mail: explicit recipients, delivered once however full they are, told in the caller's transaction.
create or replace function deliver(message jsonb, recipients text[]) returns void language sql as $$
  select from (select array(select distinct r from unnest(recipients) as r) as agents) w,
    accept_mail(jsonb_build_array(message || '{"kind": "manager"}'), array[(message -> 'data')::text],
      array[cardinality(w.agents)], array[604800], w.agents, array_fill(0, array[cardinality(w.agents)]),
      array(select generate_subscripts(w.agents, 1)), array_fill('manager'::text, array[cardinality(w.agents)]),
      array_fill(null::text, array[cardinality(w.agents)]), '{}', '{}', '{}', '{}', '{}', '{}', null)
$$;
