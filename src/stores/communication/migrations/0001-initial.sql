create table inboxes (
  agent_id text primary key,
  no integer generated always as identity unique,
  next_sequence bigint not null default 1,
  -- Deliveries may be given out below this sequence number before the open ones must be counted again.
  room_until bigint not null default 0,
  -- What the clusters' database says of the agent, followed within seconds: a hint for choosing, never a right.
  standing text not null default 'live' check (standing in ('live', 'unready', 'lapsed', 'left')),
  lapsed_at timestamptz,
  capabilities text[] not null default '{}'
) with (fillfactor = 75);
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
  created_at timestamptz not null default now(),
  messages json not null default '[]',
  broadcasts json not null default '[]'
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

-- 'closed' stays for ever: a late attempt of a step cannot open again what its compensation closed.
create table routed_clusters (
  cluster_id text primary key,
  state text not null check (state in ('open', 'closed')),
  epoch integer not null default 0
);
create table routing_tables (
  cluster_id text not null references routed_clusters (cluster_id),
  epoch integer not null,
  members jsonb not null,
  created_at timestamptz not null default now(),
  primary key (cluster_id, epoch)
);
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
