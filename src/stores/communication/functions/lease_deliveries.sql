-- Leases the next deliveries of an agent, in the order that choose_deliveries describes, and ends those that have had all
-- their attempts.
--
-- agent: agent id. max_count: deliveries now. lease_seconds: length of the leases. max_leased: leases that the agent holds
-- at a time. max_attempts: before a delivery becomes a dead letter. retry_delays: seconds to wait after the first, second,
-- ... failed attempt; the last repeats. Each is drawn from +-20 %.
-- Returns the deliveries with their messages. Times are microseconds: to write and parse a timestamp as text costs more
-- than to find its row.
--
-- A call that finds nothing takes no lock: to commit a lock waits for the disk. Rows are found by key only: the statistics
-- of a queue say nothing about its present size.
-- Locks: the inbox's cursor, then deliveries by sequence. Not the inbox, so that its reader and its senders do not wait for
-- each other.
-- Tests: test/stores/communication/lease-deliveries.test.ts, model.test.ts
create or replace function lease_deliveries(agent text, max_count integer, lease_seconds double precision,
  max_leased integer, max_attempts integer, retry_delays integer[])
returns table (inbox_no integer, sequence bigint, attempt smallint, lease_token uuid, lease_expires_us bigint,
  waited_us bigint, id text, source text, type text, time_us bigint, address jsonb, cluster_id text, epoch integer,
  topic text, correlation_id text, reply_to text, partition_key text, data text)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  inbox integer;
  inbox_cursor inbox_cursors%rowtype;
  next_sequence bigint;
  as_of timestamptz;
  choice record;
begin
  select i.no into inbox from inboxes i where i.agent_id = agent;
  if not found then return; end if;
  if not exists (
    select from deliveries d where d.inbox_no = inbox
      and d.sequence >= coalesce((select c.low_water from inbox_cursors c where c.inbox_no = inbox), 1)
      and (d.available_at <= now() or d.attempts >= max_attempts)
      and (d.lease_expires_at is null or d.lease_expires_at <= now())
  ) then return; end if;
  insert into inbox_cursors (inbox_no) values (inbox) on conflict do nothing;
  select * into inbox_cursor from inbox_cursors c where c.inbox_no = inbox for update;
  -- Sequences are given out under the inbox's lock: the statements that follow see every delivery below this one.
  select i.next_sequence into next_sequence from inboxes i where i.no = inbox;
  as_of := clock_timestamp();

  choice := choose_deliveries(inbox_cursor, as_of, max_count, max_leased, max_attempts);
  if cardinality(choice.exhausted) > 0 then
    perform dead_letter_exhausted(inbox, choice.exhausted, as_of, max_attempts);
  end if;
  update inbox_cursors c set
    low_water = greatest(c.low_water, coalesce(choice.lowest_open, next_sequence)),
    leased_up_to = greatest(c.leased_up_to, choice.chosen[cardinality(choice.chosen)])
  where c.inbox_no = inbox and (c.low_water < coalesce(choice.lowest_open, next_sequence)
    or c.leased_up_to < choice.chosen[cardinality(choice.chosen)]);
  if cardinality(choice.chosen) = 0 then return; end if;

  return query
  with leased as (
    update deliveries d set
      attempts = d.attempts + 1,
      lease_token = gen_random_uuid(),
      lease_expires_at = as_of + make_interval(secs => lease_seconds),
      available_at = as_of + make_interval(secs => lease_seconds
        + retry_delays[least(d.attempts + 1, cardinality(retry_delays))] * (0.8 + 0.4 * random())),
      first_leased_at = coalesce(d.first_leased_at, as_of),
      last_leased_at = as_of,
      failed_attempts = case when d.lease_expires_at is null then d.failed_attempts
        else coalesce(d.failed_attempts, '[]') || jsonb_build_object(
          'leasedAt', d.last_leased_at, 'endedAt', d.lease_expires_at, 'how', 'lease_expired') end
    -- Checked again: a lease that was extended or given back in the meantime is not due.
    where d.inbox_no = inbox and d.sequence = any(choice.chosen) and d.available_at <= clock_timestamp()
    returning d.sequence, d.message_no, d.attempts, d.lease_token, d.accepted_at
  )
  select inbox, l.sequence, l.attempts, l.lease_token,
    (date_part('epoch', as_of + make_interval(secs => lease_seconds)) * 1000000)::bigint,
    (date_part('epoch', as_of - l.accepted_at) * 1000000)::bigint, m.id, m.source, m.type,
    (date_part('epoch', m.time) * 1000000)::bigint, m.address, m.cluster_id, m.epoch, m.topic, m.correlation_id,
    m.reply_to, m.partition_key, m.data
  from leased l join messages m on m.no = l.message_no order by l.sequence;
end $$;
