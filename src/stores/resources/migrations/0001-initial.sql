-- 'closed' stays for ever: a late attempt of a step cannot open again what its compensation closed.
create table accounts (
  cluster_id text primary key,
  state text not null check (state in ('open', 'closed')),
  weight double precision not null check (weight > 0),
  per_member jsonb not null default '{}',
  opened_at timestamptz not null default now(),
  closed_at timestamptz
);

create table pools (
  name text primary key,
  labels jsonb not null default '{}',
  created_at timestamptz not null default now()
);

create table pool_capacities (
  pool text not null references pools (name),
  resource text not null,
  capacity numeric(18, 3) not null check (capacity >= 0 and capacity <= 1e12),
  used numeric(18, 3) not null default 0,
  primary key (pool, resource),
  constraint pool_never_overcommitted check (used >= 0 and used <= capacity)
);

-- What a cluster holds of a resource in all pools together, and the most it may; no quota is no bound.
create table holdings (
  cluster_id text not null,
  resource text not null,
  held numeric(18, 3) not null default 0 check (held >= 0 and held <= 1e15),
  quota numeric(18, 3) check (quota >= 0 and quota <= 1e12),
  primary key (cluster_id, resource),
  constraint held_within_quota check (held <= quota)
);

-- A request and its answer, so that the same one again takes nothing.
create table grant_requests (
  id text primary key,
  cluster_id text not null,
  content jsonb not null,
  answer jsonb,
  at timestamptz not null default clock_timestamp()
);
create index grant_requests_by_age on grant_requests (at);

create table grants (
  id bigint generated always as identity primary key,
  request_id text not null references grant_requests (id),
  cluster_id text not null,
  operation_id text not null,
  pool text not null,
  resource text not null,
  amount numeric(18, 3) not null check (amount > 0 and amount <= 1e12),
  state text not null default 'held' check (state in ('held', 'released', 'expired')),
  taken_at timestamptz not null default clock_timestamp(),
  lease_expires_at timestamptz not null,
  ended_at timestamptz,
  check ((state = 'held') = (ended_at is null))
);
create index grants_of_request on grants (request_id);
create index grants_held_by_cluster on grants (cluster_id, id) where state = 'held';
create index grants_held_of_pool on grants (pool, resource, id) where state = 'held';
create index grants_held_by_lease on grants (lease_expires_at) where state = 'held';

create table ledger (
  no bigint generated always as identity primary key,
  pool text not null,
  resource text not null,
  cluster_id text not null,
  delta numeric(18, 3) not null check (delta between -1e12 and 1e12),
  reason text not null,
  grant_id bigint not null,
  at timestamptz not null default clock_timestamp(),
  unique (grant_id, reason)
);
create index ledger_of_cluster on ledger (cluster_id, no);
create index ledger_of_pool on ledger (pool, no);
create index ledger_ended on ledger (at) where delta < 0;
create index ledger_sums on ledger (pool, resource) include (delta);

create table budgets (
  id text primary key,
  cluster_id text not null,
  resource text not null,
  limit_amount numeric(18, 3) not null check (limit_amount >= 0 and limit_amount <= 1e12),
  reserved numeric(18, 3) not null default 0 check (reserved >= 0),
  committed numeric(18, 3) not null default 0 check (committed >= 0),
  -- Spent beyond the limit. It stands against the budget until the limit is raised.
  overdrawn numeric(18, 3) not null default 0 check (overdrawn >= 0 and overdrawn <= 1e15),
  constraint budget_within_limit check (reserved + committed <= limit_amount)
);
create index budgets_of_cluster on budgets (cluster_id, id);

create table reservations (
  id text primary key,
  budget_id text not null references budgets (id),
  amount numeric(18, 3) not null check (amount > 0 and amount <= 1e12),
  state text not null default 'open' check (state in ('open', 'committed', 'released', 'expired')),
  -- What was really used, and how much of it was beyond the limit.
  actual numeric(18, 3) check (actual >= 0 and actual <= 1e12),
  overdrawn numeric(18, 3) not null default 0,
  -- The agent or orchestrator that reserved: an agent that has left the cluster can still report what it spent.
  reserved_by text,
  reserved_at timestamptz not null default clock_timestamp(),
  lease_expires_at timestamptz not null,
  ended_at timestamptz,
  check ((state = 'open') = (ended_at is null))
);
create index reservations_by_end on reservations (ended_at);
create index reservations_open_by_lease on reservations (lease_expires_at) where state = 'open';

create table budget_ledger (
  no bigint generated always as identity primary key,
  budget_id text not null,
  reservation_id text not null,
  reserved numeric(18, 3) not null,
  committed numeric(18, 3) not null,
  overdrawn numeric(18, 3) not null,
  reason text not null,
  at timestamptz not null default clock_timestamp()
);
create index budget_ledger_by_age on budget_ledger (at);
create index budget_ledger_sums on budget_ledger (budget_id) include (reserved, committed, overdrawn);

-- The newest reading of each resource of each agent, smoothed. Within a slot the latest sample stands for all.
create table usage_latest (
  agent_id text not null,
  resource text not null,
  value double precision not null check (value >= 0 and value <= 1e12),
  -- Value and time of the slot before, which the present slot is folded into.
  previous double precision,
  previous_at bigint,
  amount double precision not null check (amount >= 0 and amount <= 1e12),
  last_at bigint not null,
  samples bigint not null default 1,
  primary key (agent_id, resource)
) with (fillfactor = 70);

create table usage_rollups (
  agent_id text not null,
  resource text not null,
  slot timestamptz not null,
  sum double precision not null,
  count integer not null,
  max double precision not null check (max >= 0 and max <= 1e12),
  primary key (agent_id, resource, slot)
);
create index usage_rollups_by_age on usage_rollups (slot);

create table decisions (
  no bigint generated always as identity unique,
  id text primary key,
  cluster_id text not null,
  operation_id text,
  round integer not null default 0,
  at timestamptz not null,
  decision jsonb not null,
  facts jsonb not null,
  sentence text not null,
  outcome text,
  outcome_detail jsonb
);
create index decisions_of_cluster on decisions (cluster_id, no);
create index decisions_by_age on decisions (at);
create index decisions_open on decisions (cluster_id, at desc) where outcome is null;

create table recommendations (
  cluster_id text not null,
  at timestamptz not null,
  desired integer not null check (desired >= 0),
  primary key (cluster_id, at)
);
create index recommendations_by_age on recommendations (at);

create table scaling_changes (
  id text primary key,
  cluster_id text not null,
  at timestamptz not null,
  direction text not null check (direction in ('out', 'in')),
  members integer not null check (members >= 0),
  charged integer not null check (charged >= 0 and charged <= members),
  cause text not null check (cause in ('scaling', 'asked', 'rollback', 'rebalance', 'replacement')),
  operation_id text
);
create index scaling_changes_of_cluster on scaling_changes (cluster_id, at);
create index scaling_changes_by_age on scaling_changes (at);

create table blocks (
  cluster_id text not null,
  direction text not null check (direction in ('out', 'in')),
  desired integer not null check (desired >= 0),
  until timestamptz not null,
  reason text not null,
  primary key (cluster_id, direction, desired)
);
create index blocks_by_age on blocks (until);

create table resource_requests (
  no bigint generated always as identity unique,
  id text primary key,
  cluster_id text not null,
  operation_id text not null,
  round integer not null,
  need jsonb not null,
  reason text not null,
  state text not null default 'open' check (state in ('open', 'granted', 'denied', 'expired')),
  opened_at timestamptz not null default clock_timestamp(),
  deadline_at timestamptz not null,
  answered_at timestamptz,
  answered_by text,
  answer jsonb,
  unique (operation_id, round),
  check ((state = 'open') = (answered_at is null))
);
create index resource_requests_of_cluster on resource_requests (cluster_id, no);
create index resource_requests_open on resource_requests (deadline_at) where state = 'open';

create table scores (
  cluster_id text not null,
  at timestamptz not null,
  score double precision check (score >= 0 and score <= 1),
  parts jsonb not null,
  caps text[] not null,
  assumed text[] not null,
  unknown text,
  primary key (cluster_id, at),
  check ((score is null) = (unknown is not null))
);
create index scores_by_age on scores (at);
