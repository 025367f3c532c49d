-- Heartbeats rewrite a row every few seconds: no index covers what they change and pages keep free room,
-- so PostgreSQL updates in place (HOT) and no index grows.
create table agents (
  id text primary key,
  name text,
  host text,
  zone text,
  labels jsonb not null default '{}',
  capabilities text[] not null default '{}',
  resources jsonb not null default '{}',
  held jsonb not null default '{}',
  max_clusters integer not null default 1 check (max_clusters >= 1),
  cluster_count integer not null default 0,
  acceptance text not null default 'auto' check (acceptance in ('auto', 'ask')),
  concurrency integer not null default 1,
  incarnation integer not null default 1,
  readiness text not null default 'ready' check (readiness in ('ready', 'busy', 'draining', 'unavailable')),
  load real not null default 0,
  -- Whether a heartbeat has reported a load yet; until then `load` says nothing.
  reports_load boolean not null default false,
  usage jsonb not null default '{}',
  inbox_depth integer not null default 0,
  recent_flaps integer not null default 0,
  lease_expires_at timestamptz not null,
  last_delivery_at timestamptz,
  quarantined_until timestamptz,
  registered_at timestamptz not null default now(),
  left_at timestamptz,
  enrolled_by text,
  match_order integer not null generated always as (hashtext(id) & 2147483647) stored,
  -- "An agent is in at most max_clusters clusters" is kept by this constraint and the triggers on memberships.
  constraint agents_at_most_max_clusters check (cluster_count between 0 and max_clusters)
) with (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.05);
create index agents_match_order on agents (match_order) where left_at is null;
create index agents_capabilities on agents using gin (capabilities) with (fastupdate = off) where left_at is null;

-- How many agents are registered, in 16 rows so that registrations seldom meet at one.
create table fleet_counts (shard integer primary key, agents bigint not null);
insert into fleet_counts select generate_series(0, 15), 0;

create table tokens (
  id text primary key,
  role text not null check (role in ('admin', 'orchestrator', 'agent', 'viewer')),
  name text not null,
  agent_id text,
  hash bytea not null unique,
  prefix text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz,
  revoked_at timestamptz
);
create index tokens_of_agent on tokens (agent_id) where agent_id is not null;
create index tokens_revoked on tokens (revoked_at) where revoked_at is not null;
create index tokens_expiring on tokens (expires_at) where expires_at is not null;

create table operations (
  id text primary key,
  kind text not null,
  state text not null check (state in ('running', 'queued', 'completed', 'compensated', 'refused', 'cancelled')),
  cluster_id text not null,
  workflow_id text not null,
  request jsonb not null,
  request_hash text not null,
  requested_by text not null,
  result jsonb,
  error jsonb,
  created_at timestamptz not null default now(),
  queued_at timestamptz,
  ended_at timestamptz
);
create index operations_open on operations (created_at) where state in ('running', 'queued');
create index operations_of_cluster on operations (cluster_id);

create table operation_steps (
  operation_id text not null references operations (id),
  step text not null,
  round integer not null default 0,
  attempt integer not null,
  started_at timestamptz not null,
  ended_at timestamptz not null default clock_timestamp(),
  result jsonb not null,
  primary key (operation_id, step, round)
);

create table clusters (
  id text primary key,
  name text not null,
  state text not null check (state in ('forming', 'active', 'dissolving', 'dissolved', 'failed')),
  epoch integer not null default 0 check (epoch >= 0),
  spec jsonb not null,
  coordinator text,
  links jsonb not null default '[]',
  operation_id text not null,
  created_at timestamptz not null default now(),
  activated_at timestamptz,
  ended_at timestamptz
);
create index clusters_live on clusters (id) where state in ('forming', 'active', 'dissolving');

create table memberships (
  id bigint generated always as identity primary key,
  cluster_id text not null,
  agent_id text not null references agents (id),
  -- 'leaving': no message is routed to the member any more, but its agent is not free before it has drained.
  state text not null check (state in ('reserved', 'active', 'leaving', 'released')),
  roles text[] not null default '{}',
  resources jsonb not null default '{}',
  -- The agent's load when it was chosen: a retry elects the same coordinator, whatever later heartbeats report.
  chosen_load real not null default 0,
  operation_id text not null,
  answer text not null default 'none' check (answer in ('none', 'invited', 'accepted', 'declined', 'silent')),
  answer_reason text,
  tries integer not null default 0,
  invited_at timestamptz,
  expires_at timestamptz,
  epoch integer,
  joined_at timestamptz,
  left_at timestamptz,
  leaving_since timestamptz,
  -- The operation that removed the member; a member that left without one was lost.
  left_by text
);
create unique index memberships_once_per_cluster on memberships (cluster_id, agent_id) where state <> 'released';
create index memberships_of_agent on memberships (agent_id) where state <> 'released';
create index memberships_of_operation on memberships (operation_id);
create index memberships_reserved on memberships (expires_at) where state = 'reserved';
create index memberships_lost on memberships (cluster_id, left_at)
  where state = 'released' and joined_at is not null and left_by is null;

create table membership_epochs (
  cluster_id text not null,
  epoch integer not null,
  agent_id text not null,
  roles text[] not null,
  primary key (cluster_id, epoch, agent_id)
);

create table events (
  seq bigint primary key,
  id text not null unique,
  type text not null,
  subject text not null,
  operation_id text,
  data jsonb not null,
  time timestamptz not null default clock_timestamp()
);
-- One row, locked by each writer: sequence numbers become visible in order, so a reader that continues after N misses none.
create table event_head (last_seq bigint not null);
insert into event_head values (0);

create table servers (
  id text primary key,
  started_at timestamptz not null default now(),
  seen_at timestamptz not null
);
