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
  /*
   * Who routes by a cluster's table shares a lock with all who do, and who changes the table waits for them. A lock of
   * its own, not the row's: those who share a row let no one in between who waits to change it. There are 256 of them,
   * so that a message to thousands of clusters holds no more.
   */
  sql`create function route_locks() returns integer immutable language sql as 'select 7311421'`,
  sql`create function route_lock(cluster_id text) returns integer immutable language sql as $$
      select hashtext(cluster_id) & 255 $$`,

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
   * Accepts messages and gives them to their recipients: the one place where mail comes into being. Everything that is
   * routed is passed as parallel arrays. Messages are refused whole when their only recipient's mailbox is full; of a
   * message for many, the copies for full mailboxes become dead letters. Without `most` every mailbox has room.
   *
   * Locks, always in this order, so that nobody waits in a circle: clusters (shared), inboxes by number, messages by id.
   */
  sql`
    create function accept_mail(messages_in jsonb, bodies text[], r_message integer[], r_agent text[], r_via text[],
      c_id text[], c_epoch integer[], most integer)
    returns table (ordinal integer, outcome text, matched integer) language plpgsql as $$
    #variable_conflict use_column
    declare
      stale boolean;
    begin
      if cardinality(c_id) > 0 then
        perform pg_advisory_xact_lock_shared(route_locks(), b)
          from (select distinct route_lock(id) as b from unnest(c_id) id order by 1) buckets;
        select count(*) > 0 into stale from unnest(c_id, c_epoch) as w (id, epoch)
          left join routed_clusters c on c.cluster_id = w.id and c.state = 'open'
          where c.epoch is distinct from w.epoch;
        if stale then
          return query select -1, 'stale', 0;
          return;
        end if;
      end if;

      perform 1 from inboxes i where i.agent_id = any(r_agent) order by i.no for update;
      if most is not null then
        perform make_room(array_agg(i.no order by i.no), array_agg(w.amount order by i.no), most)
          from (select agent, count(*)::integer as amount from unnest(r_agent) agent group by agent) w
          join inboxes i on i.agent_id = w.agent
          where i.next_sequence + w.amount > i.room_until;
      end if;

      return query
      with msg as (
        select (m.ord - 1)::integer as ord, e ->> 'id' as id, e ->> 'source' as source, e ->> 'kind' as kind,
          e -> 'to' as address, e ->> 'type' as type, e ->> 'clusterId' as cluster_id, (e ->> 'epoch')::integer as epoch,
          e -> 'routed' as routed, e ->> 'topic' as topic, e ->> 'partitionKey' as partition_key,
          e ->> 'correlationId' as correlation_id, e ->> 'replyTo' as reply_to, e ->> 'operationId' as operation_id,
          decode(e ->> 'hash', 'hex') as body_hash, (e ->> 'ttl')::double precision as ttl,
          coalesce((e ->> 'single')::boolean, false) as single,
          e ->> 'dead' as dead, e ->> 'deadDetail' as dead_detail,
          (e ->> 'retain')::boolean as retain
        from jsonb_array_elements(messages_in) with ordinality as m (e, ord)
      ), known as (
        select msg.ord, k.matched, k.body_hash = msg.body_hash or k.body_hash is null or msg.body_hash is null as is_same
        from msg join messages k on k.id = msg.id and k.source = msg.source
      ), routed as (
        select r.message, r.agent, r.via, i.no as inbox_no,
          i.next_sequence + row_number() over (partition by i.no order by r.message) - 1 as place,
          case when most is null then 9223372036854775807 else i.room_until end as room_until
        from unnest(r_message, r_agent, r_via) as r (message, agent, via)
        left join inboxes i on i.agent_id = r.agent and i.standing <> 'left'
        where not exists (select 1 from known where known.ord = r.message)
      ), judged as (
        select msg.ord, case
          when not msg.single then 'new'
          when r.inbox_no is null then 'new'
          when r.place >= r.room_until then 'full' else 'new' end as verdict
        from msg left join routed r on r.message = msg.ord and msg.single
        where not exists (select 1 from known where known.ord = msg.ord)
      ), given as (
        -- In each inbox those that find room come before all that do not, so their places leave no gap.
        select r.message, r.inbox_no, r.via, r.place as sequence
        from routed r join judged j on j.ord = r.message and j.verdict = 'new'
        where r.place < r.room_until
      ), stored as (
        insert into messages (id, source, kind, address, type, cluster_id, epoch, routed, topic, partition_key,
          correlation_id, reply_to, data, body_hash, matched, operation_id, expires_at)
        select msg.id, msg.source, msg.kind, msg.address, msg.type, msg.cluster_id, msg.epoch, msg.routed, msg.topic,
          msg.partition_key, msg.correlation_id, msg.reply_to, bodies[msg.ord + 1], msg.body_hash,
          coalesce(g.matched, 0), msg.operation_id, clock_timestamp() + make_interval(secs => msg.ttl)
        from msg join judged j on j.ord = msg.ord and j.verdict = 'new'
        left join (select message, count(*) as matched from routed where inbox_no is not null group by message) g
          on g.message = msg.ord
        order by msg.id
        returning no, id, source, partition_key, matched, time, expires_at
      ), placed as (
        select msg.ord, msg.kind, s.no, s.partition_key, s.matched, s.time, s.expires_at, msg.dead, msg.dead_detail, msg.retain,
          msg.topic
        from stored s join msg on msg.id = s.id and msg.source = s.source
      ), delivered as (
        insert into deliveries (inbox_no, sequence, message_no, via, partition_key, expires_at, accepted_at)
        select g.inbox_no, g.sequence, p.no, g.via, p.partition_key, p.expires_at, p.time
        from given g join placed p on p.ord = g.message
      ), advanced as (
        update inboxes i set next_sequence = i.next_sequence + n.given
        from (select inbox_no, count(*) as given from given group by inbox_no) n where i.no = n.inbox_no
      ), kept as (
        insert into retained (topic, message_no, at)
        select p.topic, p.no, p.time from placed p join topics t on t.name = p.topic where p.retain for key share of t
        returning message_no
      ), buried as (
        insert into dead_letters (message_no, recipient, reason, detail)
        select p.no, null, p.dead, p.dead_detail from placed p where p.dead is not null
        union all
        select p.no, r.agent,
          case when r.inbox_no is null then 'unknown_recipient' else 'mailbox_full' end,
          case when r.inbox_no is null then 'There is no agent "' || r.agent || '", or it has left'
            else 'The mailbox of "' || r.agent || '" already holds ' || most || ' open messages' end
        from routed r join placed p on p.ord = r.message
        where p.kind <> 'manager' and (r.inbox_no is null or r.place >= r.room_until)
        union all
        select p.no, null, 'unknown_topic', 'The topic "' || p.topic || '" was deleted while this was published'
        from placed p where p.retain and p.matched = 0 and not exists (select 1 from kept k where k.message_no = p.no)
      )
      select j.ord, case when j.verdict = 'full' then 'full' else 'accepted' end, coalesce(p.matched, 0)
        from judged j left join placed p on p.ord = j.ord
      union all
      select k.ord, case when k.is_same then 'duplicate' else 'conflict' end, k.matched from known k;
    end $$`,

  // The manager's own mail: explicit recipients, delivered once however full they are, told in the caller's transaction.
  sql`
    create function deliver(message jsonb, recipients text[]) returns void language sql as $$
      select from accept_mail(
        jsonb_build_array(message || '{"kind": "manager", "ttl": 604800}'),
        array[(message -> 'data')::text],
        array_fill(0, array[cardinality(recipients)]), recipients,
        array_fill('manager'::text, array[cardinality(recipients)]),
        '{}'::text[], '{}'::integer[], null)
    $$`,

  // The routing table of an epoch and the mail that tells its members, in one transaction and one round trip.
  sql`
    create function route_and_deliver(wanted text, wanted_epoch integer, wanted_members jsonb, mail jsonb)
      returns text language plpgsql as $$
    declare
      present routed_clusters%rowtype;
      is_same boolean;
    begin
      perform pg_advisory_xact_lock(route_locks(), route_lock(wanted));
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
      -- All of them at once and in order: one after the other would be in a circle with who sends to several.
      perform 1 from inboxes i where i.agent_id in (
        select jsonb_array_elements_text(m -> 'recipients') from jsonb_array_elements(mail) m) order by i.no for update;
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
   * a time, and of one partition key one, the oldest; the others wait until it has ended, whether it is held or waits for
   * its next try. What waits or is past its time holds up nothing that has another key or none.
   */
  sql`
    create function lease_mail(reader text, at_most integer, lease_seconds double precision, most_leased integer,
      most_tries integer, delays integer[])
    returns table (inbox_no integer, sequence bigint, message_no bigint, via text, attempt smallint, lease_token uuid,
      lease_expires_at timestamptz, leased_at timestamptz, accepted_at timestamptz)
    language plpgsql as $$
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
      ), first_of_key as (
        select s.partition_key, min(s.sequence) as sequence from seen s
        where s.partition_key is not null and (s.is_held or not (s.is_exhausted or s.is_expired)) group by s.partition_key
      )
      select count(*) filter (where s.is_held), min(s.sequence),
        coalesce(array_agg(s.sequence) filter (where s.is_exhausted), '{}'),
        coalesce(array_agg(s.sequence order by s.sequence) filter (where s.is_due
          and not (s.is_held or s.is_exhausted or s.is_expired)
          and (s.partition_key is null or s.sequence = f.sequence)), '{}'),
        coalesce(array_agg(f.partition_key) filter (where s.sequence = f.sequence), '{}')
        into held, lowest, exhausted, chosen, busy_keys
        from seen s left join first_of_key f on f.partition_key = s.partition_key;

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
      returning d.inbox_no, d.sequence, d.message_no, d.via, d.attempts, d.lease_token, d.lease_expires_at,
        d.last_leased_at, d.accepted_at;
    end $$`,
];
