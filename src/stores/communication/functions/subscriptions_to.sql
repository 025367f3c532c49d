-- The subscriptions whose pattern matches a topic, by topic and agent.
--
-- A topic of ten tokens matches 2,047 patterns. Instead of looking up each of them, this walks the patterns that exist,
-- token by token: a beginning is followed only while some subscription continues it. So the cost depends on the
-- subscriptions that match a beginning of the topic, not on the topic.
--
-- topics: names of topics, each once.
-- Locks: none.
-- Tests: test/stores/communication/topics.test.ts
create or replace function subscriptions_to(topics text[])
returns table (topic text, agent_id text, pattern text, queue_group text, suspended boolean)
language sql stable set enable_seqscan = off as $$
  with recursive beginnings (topic, tokens, depth, beginning) as (
    select name, string_to_array(name, '.'), 0, '' from unnest(topics) name
    union all
    select b.topic, b.tokens, b.depth + 1, longer.beginning
    from beginnings b
    cross join lateral (
      select case b.depth when 0 then token else b.beginning || '.' || token end as beginning
      from unnest(array[b.tokens[b.depth + 1], '*']) token
    ) longer
    where b.depth < cardinality(b.tokens)
      and (b.depth + 1 = cardinality(b.tokens) or exists (
        -- "/" is the character after ".".
        select from subscriptions s
        where s.pattern collate "C" > longer.beginning || '.' and s.pattern collate "C" < longer.beginning || '/'))
  ),
  candidates as (
    select b.topic, case when b.depth = cardinality(b.tokens) then b.beginning
      when b.depth = 0 then '>' else b.beginning || '.>' end as pattern
    from beginnings b
  )
  select c.topic, i.agent_id, s.pattern, s.queue_group, i.agent_status = 'lapsed'
  from candidates c
  join subscriptions s on s.pattern collate "C" = c.pattern
  join inboxes i on i.no = s.inbox_no
  order by c.topic, i.agent_id
$$;
