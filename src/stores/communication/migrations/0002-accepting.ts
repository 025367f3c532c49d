import { sql } from 'kysely';

/** The functions by which mail comes into being, and the tables it is routed by. */
export const accepting = [
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
];
