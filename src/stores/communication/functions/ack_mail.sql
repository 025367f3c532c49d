-- Acknowledges deliveries by inbox, sequence and lease token; agents count from 1, and so do places in the answer.
-- Statistics say nothing of queues: every row is found by its key, in one order by everybody, so that two that ack the
-- same deliveries cannot wait for each other in a circle. A delivery whose ack was confirmed before is confirmed again,
-- without its time.
create or replace function ack_mail(agents text[], w_agent integer[], w_inbox integer[], w_sequence bigint[], w_token uuid[])
returns table (place integer, cluster_id text, after_ms double precision)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  boxes integer[] := array(select i.no from unnest(agents) with ordinality as a (agent, ord)
    left join inboxes i on i.agent_id = a.agent order by a.ord);
  done integer[];
  clusters text[];
  spans double precision[];
  moment timestamptz := clock_timestamp();
begin
  with wanted as materialized (
    select w.place, w.inbox, w.sequence, w.token
    from unnest(w_agent, w_inbox, w_sequence, w_token) with ordinality as w (agent, inbox, sequence, token, place)
    where boxes[w.agent] = w.inbox order by w.inbox, w.sequence
  ), gone as (
    delete from deliveries d using wanted w
    where d.inbox_no = w.inbox and d.sequence = w.sequence and d.lease_token = w.token returning d.*, w.place::integer
  ), ended as (
    insert into settled (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
      first_leased_at, last_leased_at, ended_at, tries)
    select inbox_no, sequence, message_no, via, 'acked', attempts, lease_token, accepted_at, first_leased_at,
      last_leased_at, moment, tries from gone
  )
  select array_agg(g.place), array_agg(m.cluster_id),
    array_agg(extract(epoch from moment - g.accepted_at)::double precision * 1000)
  into done, clusters, spans
  from gone g join messages m on m.no = g.message_no;

  return query select * from unnest(done, clusters, spans);
  if coalesce(cardinality(done), 0) < cardinality(w_agent) then
    return query
    select w.place::integer, null::text, null::double precision
    from unnest(w_agent, w_inbox, w_sequence, w_token) with ordinality as w (agent, inbox, sequence, token, place)
    join settled s on s.inbox_no = w.inbox and s.sequence = w.sequence
    where boxes[w.agent] = w.inbox and s.outcome = 'acked' and s.lease_token = w.token
      and (done is null or w.place <> all(done));
  end if;
end $$;
