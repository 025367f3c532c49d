create table inboxes (
  agent_id text primary key,
  no integer generated always as identity unique,
  next_sequence bigint not null default 1,
  -- Sequences below this one may be assigned without counting the open deliveries again.
  sequence_limit bigint not null default 0,
  -- Copied from clusters_db within seconds. It helps to choose a recipient and grants nothing.
  agent_status text not null default 'live' check (agent_status in ('live', 'unready', 'lapsed', 'left')),
  lapsed_at timestamptz,
  capabilities text[] not null default '{}'
) with (fillfactor = 75);
create index inboxes_not_live on inboxes (agent_status) where agent_status <> 'live';

-- How far each inbox was read. Apart from the inbox, so that a reader and its senders do not wait for each other.
create table inbox_cursors (
  inbox_no integer primary key references inboxes (no),
  -- No delivery below this sequence is open, so that a reader does not step over deleted rows.
  low_water bigint not null default 1,
  -- No delivery above this sequence was ever leased.
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
  -- Short key within this database. Not an order: numbers are assigned before they are committed.
  no bigint generated always as identity primary key,
  id text not null,
  source text not null,
  kind text not null check (kind in ('manager', 'agent', 'role', 'capability', 'cluster', 'clusters', 'topic')),
  address jsonb,
  type text not null,
  -- The cluster and the membership epoch it was routed by. A message to several clusters has their epochs in cluster_epochs.
  cluster_id text,
  epoch integer,
  cluster_epochs jsonb,
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
  -- Assigned under the inbox's row lock: without gaps and in commit order. A serial would be neither.
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
  failed_attempts jsonb,
  primary key (inbox_no, sequence),
  constraint deliveries_leased_have_a_lease check ((lease_token is null) = (lease_expires_at is null))
) with (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create index deliveries_of_message on deliveries (message_no);
create index deliveries_by_expiry on deliveries (expires_at);

-- Deliveries that have ended, moved here so that the table of open ones stays small.
create table delivery_history (
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
  failed_attempts jsonb,
  primary key (inbox_no, sequence)
);
create index delivery_history_of_message on delivery_history (message_no);
create index delivery_history_by_time on delivery_history using brin (ended_at);

create table dead_letters (
  no bigint generated always as identity primary key,
  message_no bigint not null,
  -- Null for a message without recipients.
  inbox_no integer,
  sequence bigint,
  recipient text,
  reason text not null,
  detail text not null,
  attempts smallint not null default 0,
  state text not null default 'dead' check (state in ('dead', 'replayed', 'discarded')),
  created_at timestamptz not null default clock_timestamp(),
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
-- What topics keep for agents that subscribe later.
create table retained_messages (
  topic text not null references topics (name) on delete cascade,
  message_no bigint not null,
  retained_at timestamptz not null default clock_timestamp(),
  primary key (topic, message_no)
);

-- A closed cluster stays here for ever: a late attempt of a step cannot reopen what its compensation closed.
create table routed_clusters (
  cluster_id text primary key,
  state text not null check (state in ('open', 'closed')),
  epoch integer not null default 0
);
-- Immutable; the cluster's epoch says which one is in force.
create table routing_tables (
  cluster_id text not null references routed_clusters (cluster_id),
  epoch integer not null,
  members jsonb not null,
  created_at timestamptz not null default now(),
  primary key (cluster_id, epoch)
);
-- The members of the routing tables in force.
create table routed_members (
  cluster_id text not null references routed_clusters (cluster_id),
  agent_id text not null,
  roles jsonb not null default '[]',
  primary key (cluster_id, agent_id)
);
create index routed_members_of on routed_members (agent_id);

-- Histograms of latencies, one a minute.
create table latencies (
  cluster_id text not null,
  measure text not null check (measure in ('handed_over', 'acked')),
  slot timestamptz not null,
  counts integer[] not null,
  primary key (cluster_id, measure, slot)
);

-- A copy of a message for one recipient, as the steps of accept_messages pass it on.
create type message_copy as (message_no bigint, single boolean, agent_id text, via text, partition_key text,
  ttl_seconds double precision, inbox_no integer, sequence bigint, has_room boolean);
create type acked_delivery as (claim_index integer, cluster_id text, acked_after_ms double precision);
