import { sql, type Kysely } from 'kysely';

/**
 * Mail gets addresses, leases that run out by themselves, an end, and topics. What is open is one small table; what has
 * ended moves to another, so that a queue stays as fast after a million messages as after one.
 */
export const mailAndTopics = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      drop function route_and_deliver(text, integer, jsonb, jsonb);
      drop function deliver(jsonb, text[]);
      alter table deliveries rename to deliveries_before;
      alter table messages rename to messages_before;
      -- Two tables cannot have constraints and indexes of one name.
      alter table deliveries_before drop constraint deliveries_message_id_fkey;
      alter table messages_before drop constraint messages_pkey;
      alter table deliveries_before drop constraint deliveries_pkey;
      alter index deliveries_open rename to deliveries_open_before;

      alter table inboxes
        add column no integer generated always as identity unique,
        -- Deliveries may be given out below this sequence number before the open ones must be counted again.
        add column room_until bigint not null default 0,
        -- What the clusters' database says of the agent, followed within seconds: a hint for choosing, never a right.
        add column standing text not null default 'live' check (standing in ('live', 'unready', 'lapsed', 'left')),
        add column lapsed_at timestamptz,
        add column capabilities text[] not null default '{}';
      create index inboxes_suspended on inboxes (standing) where standing <> 'live';

      -- Where each inbox's reader is. Apart from the inbox, so that a reader and its senders do not wait for each other.
      create table inbox_cursors (
        inbox_no integer primary key references inboxes (no),
        -- Nothing below is open any more: whoever reads need not step over what was deleted there.
        low_water bigint not null default 1,
        -- Nothing above was ever leased.
        leased_up_to bigint not null default 0
      ) with (fillfactor = 50);

      create table capability_inboxes (
        capability text not null,
        inbox_no integer not null references inboxes (no),
        agent_id text not null,
        primary key (capability, inbox_no)
      );
      create index capability_inboxes_of on capability_inboxes (inbox_no);

      create table messages (
        -- A short name within this database. Never an order: numbers are given out before they are committed.
        no bigint generated always as identity primary key,
        id text not null,
        source text not null,
        kind text not null check (kind in ('manager', 'agent', 'role', 'capability', 'cluster', 'clusters', 'topic')),
        address jsonb,
        type text not null,
        -- The cluster and the membership epoch it was routed by; for several clusters their epochs stand in routed.
        cluster_id text,
        epoch integer,
        routed jsonb,
        topic text,
        partition_key text,
        correlation_id text,
        reply_to text,
        data text not null,
        body_hash bytea,
        matched integer not null,
        operation_id text,
        time timestamptz not null default clock_timestamp(),
        expires_at timestamptz not null,
        constraint messages_once unique (id, source)
      );
      create index messages_by_time on messages using brin (time);

      create table deliveries (
        inbox_no integer not null,
        -- Given out under the inbox's row lock, so it is dense and in commit order; a serial would be neither.
        sequence bigint not null,
        message_no bigint not null,
        -- How the recipient was found: agent, manager, member, subscriber, role:…, capability:…, group:…
        via text not null,
        partition_key text,
        attempts smallint not null default 0,
        available_at timestamptz not null default now(),
        expires_at timestamptz not null,
        lease_token uuid,
        lease_expires_at timestamptz,
        accepted_at timestamptz not null default clock_timestamp(),
        first_leased_at timestamptz,
        last_leased_at timestamptz,
        tries jsonb,
        primary key (inbox_no, sequence),
        constraint deliveries_leased_have_a_lease check ((lease_token is null) = (lease_expires_at is null))
      ) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
      create index deliveries_of_message on deliveries (message_no);
      create index deliveries_by_expiry on deliveries (expires_at);

      create table settled (
        inbox_no integer not null,
        sequence bigint not null,
        message_no bigint not null,
        via text not null,
        outcome text not null check (outcome in ('acked', 'dead', 're_addressed')),
        attempts smallint not null,
        lease_token uuid,
        accepted_at timestamptz not null,
        first_leased_at timestamptz,
        last_leased_at timestamptz,
        ended_at timestamptz not null default clock_timestamp(),
        tries jsonb,
        primary key (inbox_no, sequence)
      );
      create index settled_of_message on settled (message_no);
      create index settled_by_time on settled using brin (ended_at);

      create table dead_letters (
        no bigint generated always as identity primary key,
        message_no bigint not null,
        -- Null for a message that matched nobody.
        inbox_no integer,
        sequence bigint,
        recipient text,
        reason text not null,
        detail text not null,
        attempts smallint not null default 0,
        state text not null default 'dead' check (state in ('dead', 'replayed', 'discarded')),
        at timestamptz not null default clock_timestamp(),
        ended_at timestamptz,
        ended_by text,
        unique (inbox_no, sequence)
      );
      create index dead_letters_of_message on dead_letters (message_no);
      create index dead_letters_waiting on dead_letters (no) where state = 'dead';

      create table receipts (
        message_no bigint primary key,
        require text not null check (require in ('none', 'any', 'quorum', 'all')),
        deadline_at timestamptz not null,
        state text not null default 'open' check (state in ('open', 'met', 'unmet')),
        counts jsonb,
        settled_at timestamptz
      );

      create table batches (
        id text primary key,
        owner text not null,
        parts jsonb not null,
        created_at timestamptz not null default now()
      );

      create table topics (
        name text primary key,
        owner text not null,
        state text not null default 'open' check (state in ('open', 'draining')),
        retention jsonb not null,
        publish jsonb,
        subscribe jsonb,
        max_subscribers integer not null,
        created_at timestamptz not null default now()
      );
      create table subscriptions (
        id text primary key default 'sub_' || gen_random_uuid(),
        inbox_no integer not null references inboxes (no),
        pattern text not null,
        queue_group text,
        created_at timestamptz not null default now()
      );
      create unique index subscriptions_once on subscriptions (inbox_no, pattern, coalesce(queue_group, ''));
      create index subscriptions_by_pattern on subscriptions (pattern);
      create table retained (
        topic text not null references topics (name) on delete cascade,
        message_no bigint not null,
        at timestamptz not null default clock_timestamp(),
        primary key (topic, message_no)
      );

      alter table routed_clusters add column epoch integer not null default 0;
      create table routed_members (
        cluster_id text not null references routed_clusters (cluster_id),
        agent_id text not null,
        roles jsonb not null default '[]',
        primary key (cluster_id, agent_id)
      );
      create index routed_members_of on routed_members (agent_id);

      create table latencies (
        cluster_id text not null,
        measure text not null check (measure in ('handed_over', 'acked')),
        slot timestamptz not null,
        counts integer[] not null,
        primary key (cluster_id, measure, slot)
      );

      insert into messages (id, source, kind, type, cluster_id, epoch, data, matched, time, expires_at)
        select id, source, 'manager', type, cluster_id, epoch, data::text,
          (select count(*) from deliveries_before d where d.message_id = m.id), time, now() + interval '7 days'
        from messages_before m;
      insert into deliveries (inbox_no, sequence, message_no, via, attempts, accepted_at, expires_at)
        select i.no, d.sequence, m.no, 'manager', d.attempts, m.time, m.expires_at
        from deliveries_before d join messages m on m.id = d.message_id join inboxes i on i.agent_id = d.recipient_id
        where d.state in ('waiting', 'leased');
      insert into settled (inbox_no, sequence, message_no, via, outcome, attempts, accepted_at, ended_at)
        select i.no, d.sequence, m.no, 'manager', case d.state when 'acked' then 'acked' else 'dead' end, d.attempts,
          m.time, coalesce(d.acked_at, now())
        from deliveries_before d join messages m on m.id = d.message_id join inboxes i on i.agent_id = d.recipient_id
        where d.state in ('acked', 'dead');
      insert into inbox_cursors (inbox_no, leased_up_to)
        select no, next_sequence from inboxes;
      update routed_clusters c set epoch = coalesce(
        (select max(epoch) from routing_tables t where t.cluster_id = c.cluster_id), 0);
      insert into routed_members (cluster_id, agent_id, roles)
        select t.cluster_id, member ->> 'agentId', coalesce(member -> 'roles', '[]')
        from routing_tables t join routed_clusters c using (cluster_id, epoch),
          jsonb_array_elements(t.members) member where c.state = 'open';
      drop table deliveries_before;
      drop table messages_before;
    `.execute(db);
    for (const statement of functions) await statement.execute(db);
  },
};

const functions = [
  // The mailbox a delivery may still go to: room is counted only when what was last counted is used up, since
  // whatever is acked in the meantime only makes more of it.
  sql`
    create function make_room(wanted integer[], amounts integer[], most integer) returns void language sql as $$
      update inboxes i set room_until = i.next_sequence
        + greatest(0, most - (select count(*) from deliveries d where d.inbox_no = i.no))
      from unnest(wanted, amounts) as w (no, amount)
      where i.no = w.no and i.next_sequence + w.amount > i.room_until
    $$`,

  /*
   * Locks inboxes, by number. Each answer has one element an agent, in the order given; null where there is no such
   * inbox or its agent has left. Nothing is known of how many agents are asked for: nested loops would be quadratic.
   */
  sql`
    create function lock_inboxes(agents text[], out numbers integer[], out nexts bigint[], out rooms bigint[])
    language plpgsql set enable_nestloop = off as $$
    begin
      with locked as materialized (
        select i.no, i.agent_id, i.next_sequence, i.room_until, i.standing from inboxes i
        where i.agent_id = any(agents) order by i.no for update
      )
      select array_agg(l.no order by a.place), array_agg(l.next_sequence order by a.place),
        array_agg(l.room_until order by a.place)
      into numbers, nexts, rooms
      from unnest(agents) with ordinality as a (agent, place)
      left join locked l on l.agent_id = a.agent and l.standing <> 'left';
    end $$`,

  /*
   * Accepts messages and gives them to their recipients: the one place where mail comes into being. Messages are refused
   * whole when their only recipient's mailbox is full; of a message for many, the copies for full mailboxes become dead
   * letters. What can be told beforehand comes in arrays, since a join of what nobody has statistics of is a gamble:
   * m_ has one element a message, r_ one a route (whose message counts from 0 and whose agent counts from 1, in the
   * order of messages), d_ one for each message that matched nobody, c_ one a cluster that was looked up.
   *
   * Returns only what did not simply go to all its routes; a row with the ordinal -1 says that a table was stale.
   *
   * Locks, always in this order, so that nobody waits in a circle: clusters by id (share), inboxes by number, messages by id.
   */
  sql`
    create function accept_mail(m_head jsonb, m_body text[], m_routes integer[], m_ttl double precision[],
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
      counts integer[] := m_routes;
      refused integer[] := '{}';
      is_tight boolean;
      is_odd boolean;
      stored integer;
      given_to integer[];
      given integer[];
      moment timestamptz;
    begin
      if cardinality(c_id) > 0 then
        perform 1 from routed_clusters c where c.cluster_id = any(c_id) order by c.cluster_id for share;
        if exists (
          select from unnest(c_id, c_epoch) as w (id, epoch)
          left join routed_clusters c on c.cluster_id = w.id and c.state = 'open'
          where c.epoch is distinct from w.epoch
        ) then
          return query select -1, 'stale', 0;
          return;
        end if;
      end if;

      if cardinality(agents) > 0 then
        select l.numbers, l.nexts, l.rooms into boxes, nexts, rooms from lock_inboxes(agents) l;
        select array_agg(boxes[w.agent]), array_agg(w.amount) into given_to, given from (
          select r.agent, count(*)::integer as amount from unnest(r_agent) as r (agent) group by r.agent
        ) w where nexts[w.agent] + w.amount > rooms[w.agent];
        is_tight := given_to is not null;
        if is_tight then
          perform make_room(given_to, given, most);
          select l.numbers, l.nexts, l.rooms into boxes, nexts, rooms from lock_inboxes(agents) l;
          is_tight := exists (
            select from unnest(r_agent) as r (agent) group by r.agent having nexts[r.agent] + count(*) > rooms[r.agent]);
        end if;
        is_odd := is_tight or array_position(boxes, null) is not null;
      end if;
      if is_odd then
        select array_agg(coalesce(w.amount, 0) order by m.ord) into counts
        from generate_series(0, cardinality(m_routes) - 1) as m (ord)
        left join (select r.message, count(*)::integer as amount from unnest(r_message, r_agent) as r (message, agent)
          where boxes[r.agent] is not null group by r.message) w on w.message = m.ord;
      end if;
      if is_tight then
        refused := array(
          select r.message from (
            select r.message, r.agent,
              nexts[r.agent] + row_number() over (partition by r.agent order by r.message) - 1 as place
            from unnest(r_message, r_agent) as r (message, agent)
            where boxes[r.agent] is not null and not exists (
              select from messages k where k.id = m_head -> r.message ->> 'id' and k.source = m_head -> r.message ->> 'source')
          ) r where r.place >= rooms[r.agent] and (m_head -> r.message -> 'single')::boolean);
      end if;

      moment := clock_timestamp();
      numbers := array(select nextval('messages_no_seq') from generate_series(1, cardinality(m_routes)));
      insert into messages (no, id, source, kind, address, type, cluster_id, epoch, routed, topic, partition_key,
        correlation_id, reply_to, data, body_hash, matched, operation_id, time, expires_at)
      overriding system value
      select numbers[m.ord], m.e ->> 'id', m.e ->> 'source', m.e ->> 'kind', m.e -> 'to', m.e ->> 'type',
        m.e ->> 'clusterId', (m.e ->> 'epoch')::integer, m.e -> 'routed', m.e ->> 'topic', m.e ->> 'partitionKey',
        m.e ->> 'correlationId', m.e ->> 'replyTo', m.body, decode(m.e ->> 'hash', 'hex'), counts[m.ord],
        m.e ->> 'operationId', moment, moment + make_interval(secs => m_ttl[m.ord])
      from rows from (jsonb_array_elements(m_head), unnest(m_body)) with ordinality as m (e, body, ord)
      where cardinality(refused) = 0 or (m.ord - 1)::integer <> all(refused)
      order by m.e ->> 'id'
      on conflict on constraint messages_once do nothing;
      get diagnostics stored = row_count;
      if stored < cardinality(numbers) then
        is_odd := true;
        numbers := array(select m.no from unnest(numbers) with ordinality as n (no, ord)
          left join messages m on m.no = n.no order by n.ord);
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
        select m.topic, m.no, m.time from messages m
        where m.no = any(array(select numbers[k.message + 1] from unnest(m_retained) as k (message)));
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
    end $$`,

  // The manager's own mail: explicit recipients, delivered once, told in the caller's transaction.
  sql`
    create function deliver(message jsonb, recipients text[]) returns void language sql as $$
      select from (select array(select distinct r from unnest(recipients) as r) as agents) w,
        accept_mail(jsonb_build_array(message || '{"kind": "manager"}'), array[(message -> 'data')::text],
          array[cardinality(w.agents)], array[604800], w.agents, array_fill(0, array[cardinality(w.agents)]),
          array(select generate_subscripts(w.agents, 1)), array_fill('manager'::text, array[cardinality(w.agents)]),
          array_fill(null::text, array[cardinality(w.agents)]), '{}', '{}', '{}', '{}', '{}', '{}', 1000000000)
    $$`,

  // The routing table of an epoch and the mail that tells its members, in one transaction and one round trip.
  sql`
    create function route_and_deliver(wanted text, wanted_epoch integer, wanted_members jsonb, mail jsonb)
      returns text language plpgsql as $$
    declare
      present routed_clusters%rowtype;
      is_same boolean;
    begin
      select * into present from routed_clusters where cluster_id = wanted for no key update;
      if not found or present.state <> 'open' then return 'closed'; end if;
      select members = wanted_members into is_same from routing_tables
        where cluster_id = wanted and epoch = wanted_epoch;
      if is_same is null then
        -- Tables only go forward: what was planned before the present one is stale.
        if wanted_epoch <= present.epoch then return 'other'; end if;
        insert into routing_tables (cluster_id, epoch, members) values (wanted, wanted_epoch, wanted_members);
        update routed_clusters set epoch = wanted_epoch where cluster_id = wanted;
        delete from routed_members where cluster_id = wanted;
        insert into routed_members (cluster_id, agent_id, roles)
          select wanted, m ->> 'agentId', coalesce(m -> 'roles', '[]') from jsonb_array_elements(wanted_members) m;
      elsif not is_same then return 'other';
      end if;
      perform deliver(m -> 'message', array(select jsonb_array_elements_text(m -> 'recipients')))
        from jsonb_array_elements(mail) m;
      return 'done';
    end $$`,

  /*
   * Ends open deliveries as dead letters. The caller has chosen them; a delivery that ended meanwhile is passed over.
   */
  sql`
    create function bury(b_inbox integer[], b_sequence bigint[], why text, how text)
      returns integer language sql as $$
      with gone as (
        delete from deliveries d using unnest(b_inbox, b_sequence) as w (inbox_no, sequence)
        where d.inbox_no = w.inbox_no and d.sequence = w.sequence returning d.*
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
   * a time, and of one partition key nothing is handed over while an earlier one is held or waits for its next try.
   */
  sql`
    create function lease_mail(reader text, at_most integer, lease_seconds double precision, most_leased integer,
      most_tries integer, delays integer[])
    returns table (inbox_no integer, sequence bigint, attempt smallint, lease_token uuid, lease_expires_at timestamptz,
      leased_at timestamptz, accepted_at timestamptz, id text, source text, type text, "time" timestamptz, address jsonb,
      cluster_id text, epoch integer, topic text, correlation_id text, reply_to text, partition_key text, data text)
    language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    #variable_conflict use_column
    declare
      box integer;
      upper_end bigint;
      place inbox_cursors%rowtype;
      moment timestamptz;
      lowest bigint;
      highest bigint;
      exhausted bigint[];
      chosen bigint[];
    begin
      select no into box from inboxes where agent_id = reader;
      if not found then return; end if;
      insert into inbox_cursors (inbox_no) values (box) on conflict do nothing;
      select * into place from inbox_cursors c where c.inbox_no = box for update;
      -- Everything below this was committed before the look that follows: numbers are given out under the inbox's lock.
      select next_sequence into upper_end from inboxes where no = box;
      moment := clock_timestamp();

      with region as (
        select d.sequence, d.partition_key, d.attempts, d.available_at, d.expires_at, d.lease_expires_at
        from deliveries d where d.inbox_no = box and d.sequence >= place.low_water and d.sequence <= place.leased_up_to
        union all
        (select d.sequence, d.partition_key, d.attempts, d.available_at, d.expires_at, d.lease_expires_at
         from deliveries d where d.inbox_no = box and d.sequence > place.leased_up_to and d.sequence >= place.low_water
         order by d.sequence limit least(at_most, most_leased))
      ), seen as (
        select r.*, r.lease_expires_at > moment as is_held,
          r.attempts >= most_tries and coalesce(r.lease_expires_at <= moment, true) as is_exhausted,
          r.expires_at <= moment as is_expired
        from region r
      ), ordered as (
        select s.sequence, s.is_held, s.is_exhausted,
          coalesce(s.is_held, false) or s.is_expired or s.is_exhausted or s.available_at > moment as is_away,
          s.partition_key is not null and bool_or(
            (coalesce(s.is_held, false) or s.available_at > moment) and not s.is_expired and not s.is_exhausted
          ) over (partition by s.partition_key order by s.sequence rows between unbounded preceding and 1 preceding)
            as is_behind
        from seen s
      ), ready as (
        select o.sequence, row_number() over (order by o.sequence) as rank
        from ordered o where not o.is_away and o.is_behind is not true
      )
      select array(select r.sequence from ready r
          where r.rank <= least(at_most, most_leased - (select count(*) from ordered where is_held)) order by r.sequence),
        array(select o.sequence from ordered o where o.is_exhausted),
        (select min(o.sequence) from ordered o)
        into chosen, exhausted, lowest;

      if cardinality(exhausted) > 0 then
        perform bury(array_fill(box, array[cardinality(exhausted)]), exhausted, 'tries_exhausted',
          'Handed over ' || most_tries || ' times and never acked');
      end if;
      highest := greatest(place.leased_up_to, chosen[cardinality(chosen)]);
      lowest := coalesce(lowest, upper_end);
      if highest > place.leased_up_to or lowest > place.low_water then
        update inbox_cursors c set low_water = greatest(c.low_water, lowest), leased_up_to = highest
          where c.inbox_no = box;
      end if;
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
      where d.inbox_no = box and d.sequence = any(chosen)
      returning d.sequence, d.message_no, d.attempts, d.lease_token, d.lease_expires_at, d.accepted_at
      )
      select box, l.sequence, l.attempts, l.lease_token, l.lease_expires_at, moment, l.accepted_at, m.id, m.source,
        m.type, m.time, m.address, m.cluster_id, m.epoch, m.topic, m.correlation_id, m.reply_to, m.partition_key, m.data
      from leased l join messages m on m.no = l.message_no order by l.sequence;
    end $$`,

  /*
   * Acknowledges deliveries by inbox, sequence and lease token. Statistics say nothing of queues: every row is found by
   * its key, in one order by everybody, so that two that ack the same deliveries cannot wait for each other in a circle.
   * A delivery whose ack was confirmed before is confirmed again, without its time.
   */
  sql`
    create function ack_mail(w_place integer[], w_agent text[], w_inbox integer[], w_sequence bigint[], w_token uuid[])
    returns table (place integer, cluster_id text, after_ms double precision)
    language plpgsql set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off as $$
    #variable_conflict use_column
    declare
      done integer[];
      clusters text[];
      spans double precision[];
      moment timestamptz := clock_timestamp();
    begin
      with wanted as materialized (
        select w.place, w.inbox, w.sequence, w.token
        from unnest(w_place, w_agent, w_inbox, w_sequence, w_token) as w (place, agent, inbox, sequence, token)
        join inboxes i on i.no = w.inbox and i.agent_id = w.agent
        order by w.inbox, w.sequence
      ), gone as (
        delete from deliveries d using wanted w
        where d.inbox_no = w.inbox and d.sequence = w.sequence and d.lease_token = w.token returning d.*, w.place
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
      if coalesce(cardinality(done), 0) < cardinality(w_place) then
        return query
        select w.place, null::text, null::double precision
        from unnest(w_place, w_agent, w_inbox, w_sequence, w_token) as w (place, agent, inbox, sequence, token)
        join inboxes i on i.no = w.inbox and i.agent_id = w.agent
        join settled s on s.inbox_no = w.inbox and s.sequence = w.sequence
        where s.outcome = 'acked' and s.lease_token = w.token and (done is null or w.place <> all(done));
      end if;
    end $$`,
];
