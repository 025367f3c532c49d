import { sql } from 'kysely';

/** The functions by which mail is handed over, and ends. */
export const leasing = [
  /*
   * Ends open deliveries as dead letters. The caller has chosen them; a delivery that ended meanwhile is passed over.
   */
  sql`
    create function bury(b_inbox integer[], b_sequence bigint[], why text, how text)
      returns integer language sql as $$
      with held as (
        -- Locked in one order by everybody: two that end the same deliveries cannot wait for each other in a circle.
        select d.inbox_no, d.sequence from deliveries d
        join unnest(b_inbox, b_sequence) as w (inbox_no, sequence) using (inbox_no, sequence)
        order by d.inbox_no, d.sequence for update of d
      ), gone as (
        delete from deliveries d using held h where d.inbox_no = h.inbox_no and d.sequence = h.sequence returning d.*
      ), ended as (
        insert into settled (inbox_no, sequence, message_no, via, outcome, attempts, lease_token, accepted_at,
          first_leased_at, last_leased_at, tries)
        select inbox_no, sequence, message_no, via, 'dead', attempts, lease_token, accepted_at, first_leased_at,
          last_leased_at, tries from gone
      ), letters as (
        insert into dead_letters (message_no, inbox_no, sequence, recipient, reason, detail, attempts)
        select g.message_no, g.inbox_no, g.sequence, i.agent_id, why, how, g.attempts
        from gone g join inboxes i on i.no = g.inbox_no
      )
      select count(*)::integer from gone
    $$`,

  /*
   * Leases the next deliveries of an inbox, oldest first, under the lock of its cursor: at most most_leased are held at
   * a time, and of one partition key one, the oldest; the others wait until it has ended, whether it is held or waits for
   * its next try. What waits or is past its time holds up nothing that has another key or none.
   */
  sql`
    create function lease_mail(reader text, at_most integer, lease_seconds double precision, most_leased integer,
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
    end $$`,

  /*
   * Acknowledges deliveries by inbox, sequence and lease token; agents count from 1, and so do places in the answer.
   * Statistics say nothing of queues: every row is found by its key, in one order by everybody, so that two that ack the
   * same deliveries cannot wait for each other in a circle. A delivery whose ack was confirmed before is confirmed again,
   * without its time.
   */
  sql`
    create function ack_mail(agents text[], w_agent integer[], w_inbox integer[], w_sequence bigint[], w_token uuid[])
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
    end $$`,
];
