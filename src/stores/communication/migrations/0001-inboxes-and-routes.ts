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
    `.execute(db);
  },
};
