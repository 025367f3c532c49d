-- Accepts messages and gives them to their recipients: the one place where mail comes into being. Messages are refused
-- whole when their only recipient's mailbox is full; of a message for many, the copies for full mailboxes become dead
-- letters. What can be told beforehand comes in arrays, since a join of what nobody has statistics of is a gamble:
-- m_ has one element a message, r_ one a route (whose message counts from 0 and whose agent counts from 1, in the
-- order of messages), d_ one for each message that matched nobody, c_ one a cluster that was looked up.
-- Returns only what did not simply go to all its routes; a row with the ordinal -1 says that a table was stale.
-- Without `most` every mailbox has room.
-- Locks, always in this order, so that nobody waits in a circle: clusters (shared), messages by id, inboxes by
-- number. The inboxes come last because all who write to one wait for each other until the commit: what takes long,
-- the bodies, is done before. What then finds no room is taken back.
create or replace function accept_mail(m_head jsonb, m_body text[], m_routes integer[], m_ttl double precision[],
  agents text[], r_message integer[], r_agent integer[], r_via text[], r_key text[],
  d_message integer[], d_reason text[], d_detail text[], m_retained integer[],
  c_id text[], c_epoch integer[], most integer)
returns table (ordinal integer, outcome text, matched integer) language plpgsql as $$
#variable_conflict use_column
declare
  boxes integer[];
  nexts bigint[];
  rooms bigint[];
  numbers bigint[];
  refused integer[];
  is_tight boolean := false;
  is_odd boolean := false;
  stored integer;
  given_to integer[];
  given integer[];
  moment timestamptz;
begin
  if cardinality(c_id) > 0 then
    perform pg_advisory_xact_lock_shared(route_locks(), b)
      from (select distinct route_lock(id) as b from unnest(c_id) id order by 1) buckets;
    if exists (
      select from unnest(c_id, c_epoch) as w (id, epoch)
      left join routed_clusters c on c.cluster_id = w.id and c.state = 'open'
      where c.epoch is distinct from w.epoch
    ) then
      return query select -1, 'stale', 0;
      return;
    end if;
  end if;

  moment := clock_timestamp();
  numbers := array(select nextval('messages_no_seq') from generate_series(1, cardinality(m_routes)));
  insert into messages (no, id, source, kind, address, type, cluster_id, epoch, routed, topic, partition_key,
    correlation_id, reply_to, data, body_hash, matched, operation_id, time, expires_at)
  overriding system value
  select numbers[m.ord], m.e ->> 'id', m.e ->> 'source', m.e ->> 'kind', m.e -> 'to', m.e ->> 'type',
    m.e ->> 'clusterId', (m.e ->> 'epoch')::integer, m.e -> 'routed', m.e ->> 'topic', m.e ->> 'partitionKey',
    m.e ->> 'correlationId', m.e ->> 'replyTo', m.body, decode(m.e ->> 'hash', 'hex'), m_routes[m.ord],
    m.e ->> 'operationId', moment, moment + make_interval(secs => m_ttl[m.ord])
  from rows from (jsonb_array_elements(m_head), unnest(m_body)) with ordinality as m (e, body, ord)
  order by m.e ->> 'id'
  on conflict on constraint messages_once do nothing;
  get diagnostics stored = row_count;
  if stored < cardinality(numbers) then
    is_odd := true;
    numbers := array(select m.no from unnest(numbers) with ordinality as n (no, ord)
      left join messages m on m.no = n.no order by n.ord);
  end if;

  if cardinality(agents) > 0 then
    select l.numbers, l.nexts, l.rooms into boxes, nexts, rooms from lock_inboxes(agents) l;
    if most is null then rooms := array_fill(9223372036854775807, array[cardinality(agents)]); end if;
    select array_agg(boxes[w.agent]), array_agg(w.amount) into given_to, given from (
      select r.agent, count(*)::integer as amount from unnest(r_agent) as r (agent) group by r.agent
    ) w where nexts[w.agent] + w.amount > rooms[w.agent];
    if given_to is not null then
      perform make_room(given_to, given, most);
      select l.numbers, l.nexts, l.rooms into boxes, nexts, rooms from lock_inboxes(agents) l;
      is_tight := exists (
        select from unnest(r_agent) as r (agent) group by r.agent having nexts[r.agent] + count(*) > rooms[r.agent]);
    end if;
    is_odd := is_odd or is_tight or array_position(boxes, null) is not null;
  end if;
  if is_tight then
    refused := array(
      select r.message + 1 from (
        select r.message, r.agent,
          nexts[r.agent] + row_number() over (partition by r.agent order by r.message) - 1 as place
        from unnest(r_message, r_agent) as r (message, agent)
        where numbers[r.message + 1] is not null and boxes[r.agent] is not null
      ) r where r.place >= rooms[r.agent] and (m_head -> r.message -> 'single')::boolean);
    delete from messages m where m.no = any(array(select numbers[r.ord] from unnest(refused) as r (ord)));
    numbers := array(select case when n.ord <> all(refused) then n.no end
      from unnest(numbers) with ordinality as n (no, ord) order by n.ord);
  end if;
  if is_odd then
    update messages m set matched = m.matched - w.missed
    from (
      select numbers[r.message + 1] as no, count(*)::integer as missed
      from unnest(r_message, r_agent) as r (message, agent)
      where boxes[r.agent] is null and numbers[r.message + 1] is not null group by r.message
    ) w where m.no = w.no;
  end if;

  if cardinality(agents) > 0 then
    with given as (
      insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at, accepted_at)
      select boxes[r.agent], r.place, numbers[r.message + 1], r.via, r.key,
        moment + make_interval(secs => m_ttl[r.message + 1]), moment
      from (
        select r.message, r.agent, r.via, r.key,
          nexts[r.agent] + row_number() over (partition by r.agent order by r.message) - 1 as place
        from unnest(r_message, r_agent, r_via, r_key) as r (message, agent, via, key)
        where numbers[r.message + 1] is not null and boxes[r.agent] is not null
      ) r
      -- In each inbox those that find room come before all that do not, so their places leave no gap.
      where r.place < rooms[r.agent]
      returning inbox_no
    )
    select array_agg(g.no), array_agg(g.amount) into given_to, given
    from (select g.inbox_no as no, count(*)::integer as amount from given g group by g.inbox_no) g;
    update inboxes i set next_sequence = i.next_sequence + g.amount
    from unnest(given_to, given) as g (no, amount) where i.no = g.no;
  end if;

  if cardinality(d_message) > 0 then
    insert into dead_letters (message_no, recipient, reason, detail)
    select numbers[d.message + 1], null, d.reason, d.detail
    from unnest(d_message, d_reason, d_detail) as d (message, reason, detail)
    where numbers[d.message + 1] is not null;
  end if;
  if cardinality(m_retained) > 0 then
    insert into retained (topic, message_no, at)
    select m.topic, m.no, m.time from messages m join topics t on t.name = m.topic
    where m.no = any(array(select numbers[k.message + 1] from unnest(m_retained) as k (message)))
    for key share of t;
    -- What nobody got, counting on the topic to keep it, is not silently gone with the topic.
    insert into dead_letters (message_no, reason, detail)
    select m.no, 'unknown_topic', 'The topic "' || m.topic || '" was deleted while this was published'
    from messages m where m.no = any(array(select numbers[k.message + 1] from unnest(m_retained) as k (message)))
      and m.matched = 0 and not exists (select from retained r where r.message_no = m.no);
  end if;
  if is_odd then
    insert into dead_letters (message_no, recipient, reason, detail)
    select numbers[r.message + 1], agents[r.agent],
      case when boxes[r.agent] is null then 'unknown_recipient' else 'mailbox_full' end,
      case when boxes[r.agent] is null then 'There is no agent "' || agents[r.agent] || '", or it has left'
        else 'The mailbox of "' || agents[r.agent] || '" already holds ' || most || ' open messages' end
    from (
      select r.message, r.agent,
        nexts[r.agent] + row_number() over (partition by r.agent order by r.message) - 1 as place
      from unnest(r_message, r_agent) as r (message, agent) where numbers[r.message + 1] is not null
    ) r
    where (boxes[r.agent] is null or r.place >= rooms[r.agent]) and m_head -> r.message ->> 'kind' <> 'manager';
    return query
    select m.ord::integer - 1,
      case when numbers[m.ord] is not null then 'accepted'
        when k.no is null then 'full'
        when k.body_hash <> decode(m.e ->> 'hash', 'hex') then 'conflict' else 'duplicate' end,
      coalesce(k.matched, 0)
    from jsonb_array_elements(m_head) with ordinality as m (e, ord)
    left join messages k on k.id = m.e ->> 'id' and k.source = m.e ->> 'source';
  end if;
end $$;
