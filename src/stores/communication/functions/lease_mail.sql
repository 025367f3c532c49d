-- Leases the next deliveries of an inbox, oldest first, under the lock of its cursor: at most most_leased are held at
-- a time, and of one partition key one, the oldest; the others wait until it has ended, whether it is held or waits for
-- its next try. What waits or is past its time holds up nothing that has another key or none.
create or replace function lease_mail(reader text, at_most integer, lease_seconds double precision, most_leased integer,
  most_tries integer, delays integer[])
returns table (inbox_no integer, sequence bigint, attempt smallint, lease_token uuid, lease_expires_us bigint,
  waited_us bigint, id text, source text, type text, time_us bigint, address jsonb, cluster_id text, epoch integer,
  topic text, correlation_id text, reply_to text, partition_key text, data text)
language plpgsql set enable_seqscan = off set enable_bitmapscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
#variable_conflict use_column
declare
  box integer;
  upper_end bigint;
  place inbox_cursors%rowtype;
  moment timestamptz;
  above bigint;
  held integer;
  lowest bigint;
  exhausted bigint[];
  chosen bigint[];
  busy_keys text[];
  room integer;
begin
  select no into box from inboxes where agent_id = reader;
  if not found then return; end if;
  -- Most looks find nothing: they must not lock, since what has locked waits for the disk at its end.
  if not exists (
    select from deliveries d where d.inbox_no = box
      and d.sequence >= coalesce((select c.low_water from inbox_cursors c where c.inbox_no = box), 1)
      and (d.available_at <= now() or d.attempts >= most_tries)
      and (d.lease_expires_at is null or d.lease_expires_at <= now())
  ) then return; end if;
  insert into inbox_cursors (inbox_no) values (box) on conflict do nothing;
  select * into place from inbox_cursors c where c.inbox_no = box for update;
  -- Everything below this was committed before the looks that follow: numbers are given out under the inbox's lock.
  select next_sequence into upper_end from inboxes where no = box;
  moment := clock_timestamp();

  -- What was leased before or passed over.
  with seen as (
    select d.sequence, d.partition_key, d.available_at <= moment as is_due, d.expires_at <= moment as is_expired,
      coalesce(d.lease_expires_at > moment, false) as is_held,
      d.attempts >= most_tries and coalesce(d.lease_expires_at <= moment, true) as is_exhausted
    from deliveries d where d.inbox_no = box and d.sequence >= place.low_water and d.sequence <= place.leased_up_to
  ), ordered as (
    select s.*, min(s.sequence) filter (where s.is_held or not (s.is_exhausted or s.is_expired))
      over (partition by s.partition_key) as first_of_key
    from seen s
  )
  select count(*) filter (where o.is_held), min(o.sequence),
    coalesce(array_agg(o.sequence) filter (where o.is_exhausted), '{}'),
    coalesce(array_agg(o.sequence order by o.sequence) filter (where o.is_due
      and not (o.is_held or o.is_exhausted or o.is_expired)
      and (o.partition_key is null or o.sequence = o.first_of_key)), '{}'),
    coalesce(array_agg(o.partition_key) filter (where o.partition_key is not null and o.sequence = o.first_of_key), '{}')
    into held, lowest, exhausted, chosen, busy_keys
    from ordered o;

  room := greatest(0, least(at_most, most_leased - held));
  chosen := chosen[1:room];
  above := greatest(place.leased_up_to, place.low_water - 1);
  if cardinality(chosen) < room then
    select chosen || coalesce(array_agg(n.sequence order by n.sequence)
        filter (where n.partition_key is null or n.rank = 1), '{}')
      into chosen
      from (
        select f.sequence, f.partition_key, row_number() over (partition by f.partition_key order by f.sequence) as rank
        from (
          select d.sequence, d.partition_key from deliveries d
          where d.inbox_no = box and d.sequence > above and d.expires_at > moment and d.available_at <= moment
            and (d.partition_key is null or d.partition_key <> all(busy_keys))
          order by d.sequence limit room - cardinality(chosen)) f) n;
  end if;

  if cardinality(exhausted) > 0 then
    -- A lease that is being prolonged at this moment is waited for, and is none of these then.
    exhausted := array(
      select d.sequence from deliveries d where d.inbox_no = box and d.sequence = any(exhausted)
        and coalesce(d.lease_expires_at <= moment, true) order by d.sequence for update);
    perform bury(array_fill(box, array[cardinality(exhausted)]), exhausted, 'tries_exhausted',
      'Handed over ' || most_tries || ' times and never acked');
  end if;

  -- A delivery that is open and has a smaller number than this cannot come any more: they are given out in order.
  lowest := coalesce(lowest,
    (select min(d.sequence) from deliveries d where d.inbox_no = box and d.sequence > above), upper_end);
  place.leased_up_to := greatest(place.leased_up_to, chosen[cardinality(chosen)]);
  update inbox_cursors c set low_water = greatest(c.low_water, lowest), leased_up_to = place.leased_up_to
    where c.inbox_no = box and (c.leased_up_to < place.leased_up_to or c.low_water < lowest);
  if cardinality(chosen) = 0 then return; end if;

  return query
  with leased as (
    update deliveries d set
      attempts = d.attempts + 1,
      lease_token = gen_random_uuid(),
      lease_expires_at = moment + make_interval(secs => lease_seconds),
      available_at = moment + make_interval(secs => lease_seconds
        + delays[least(d.attempts + 1, cardinality(delays))] * (0.8 + 0.4 * random())),
      first_leased_at = coalesce(d.first_leased_at, moment),
      last_leased_at = moment,
      tries = case when d.lease_expires_at is null then d.tries else coalesce(d.tries, '[]')
        || jsonb_build_object('leasedAt', d.last_leased_at, 'endedAt', d.lease_expires_at, 'how', 'lease_expired') end
    -- Asked once more: what was prolonged or given back in this moment is not due any more.
    where d.inbox_no = box and d.sequence = any(chosen) and d.available_at <= moment
    returning d.sequence, d.message_no, d.attempts, d.lease_token, d.accepted_at
  )
  -- Microseconds: to write and to read a timestamp as text costs more than to find its row.
  select box, l.sequence, l.attempts, l.lease_token,
    (date_part('epoch', moment + make_interval(secs => lease_seconds)) * 1000000)::bigint,
    (date_part('epoch', moment - l.accepted_at) * 1000000)::bigint, m.id, m.source, m.type,
    (date_part('epoch', m.time) * 1000000)::bigint, m.address, m.cluster_id, m.epoch, m.topic, m.correlation_id,
    m.reply_to, m.partition_key, m.data
  from leased l join messages m on m.no = l.message_no order by l.sequence;
end $$;
