import { sql, type Kysely } from 'kysely';

export const inboxesAndRoutes = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      create table inboxes (
        agent_id text primary key,
        next_sequence bigint not null default 1
      ) with (fillfactor = 75);

      create table messages (
        id text primary key,
        source text not null,
        type text not null,
        cluster_id text,
        epoch integer,
        data jsonb not null,
        time timestamptz not null default clock_timestamp()
      );

      create table deliveries (
        id text primary key default 'dl_' || gen_random_uuid(),
        message_id text not null references messages (id),
        recipient_id text not null references inboxes (agent_id),
        -- Given out under the inbox's row lock, so it is dense and in commit order; a serial would be neither.
        sequence bigint not null,
        state text not null default 'waiting' check (state in ('waiting', 'leased', 'acked', 'dead')),
        attempts integer not null default 0,
        available_at timestamptz not null default now(),
        lease_token text,
        lease_expires_at timestamptz,
        acked_at timestamptz,
        unique (recipient_id, sequence),
        unique (message_id, recipient_id),
        constraint deliveries_leased_have_a_lease
          check (state <> 'leased' or (lease_token is not null and lease_expires_at is not null))
      ) with (fillfactor = 75);
      create index deliveries_open on deliveries (recipient_id, sequence) where state in ('waiting', 'leased');

      -- 'closed' stays for ever: a late attempt of a step cannot open again what its compensation closed.
      create table routed_clusters (
        cluster_id text primary key,
        state text not null check (state in ('open', 'closed'))
      );
      create table routing_tables (
        cluster_id text not null references routed_clusters (cluster_id),
        epoch integer not null,
        members jsonb not null,
        created_at timestamptz not null default now(),
        primary key (cluster_id, epoch)
      );

      -- Sequence numbers are given out under each inbox's row lock, in agent order: dense, in commit order, and two
      -- senders cannot deadlock. The same message id again delivers nothing.
      create function deliver(message jsonb, recipients text[]) returns void language sql as $$
        with stored as (
          insert into messages (id, source, type, cluster_id, epoch, data)
          values (message ->> 'id', message ->> 'source', message ->> 'type', message ->> 'clusterId',
            (message ->> 'epoch')::integer, message -> 'data')
          on conflict (id) do nothing returning id
        ), locked as (
          select agent_id from inboxes where agent_id = any(recipients) and exists (select 1 from stored)
          order by agent_id for update
        ), numbered as (
          update inboxes i set next_sequence = next_sequence + 1 from locked where i.agent_id = locked.agent_id
          returning i.agent_id, i.next_sequence - 1 as sequence
        )
        insert into deliveries (message_id, recipient_id, sequence)
        select stored.id, numbered.agent_id, numbered.sequence from stored, numbered
      $$;

      -- The routing table of an epoch and the mail that tells its members, in one transaction and one round trip.
      create function route_and_deliver(wanted text, wanted_epoch integer, wanted_members jsonb, mail jsonb)
        returns text language plpgsql as $$
      declare
        is_same boolean;
      begin
        -- An update that changes nothing: unlike a select it sees the table of an attempt that ran at the same time.
        insert into routing_tables as t (cluster_id, epoch, members)
          select cluster_id, wanted_epoch, wanted_members from routed_clusters
          where cluster_id = wanted and state = 'open' for share
          on conflict (cluster_id, epoch) do update set members = t.members
          returning members = wanted_members into is_same;
        if is_same is null then return 'closed'; end if;
        if not is_same then return 'other'; end if;
        perform deliver(m -> 'message', array(select jsonb_array_elements_text(m -> 'recipients')))
          from jsonb_array_elements(mail) m;
        return 'done';
      end $$;
    `.execute(db);
  },
};
