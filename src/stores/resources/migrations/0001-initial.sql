-- 'closed' is final: a late attempt of a step cannot open an account again after its compensation closed it.
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

-- How much of a resource is allocated to a cluster from all pools together, and the most that may be. Null is no limit.
create table quotas (
  cluster_id text not null,
  resource text not null,
  allocated numeric(18, 3) not null default 0 check (allocated >= 0 and allocated <= 1e15),
  quota numeric(18, 3) check (quota >= 0 and quota <= 1e12),
  primary key (cluster_id, resource),
  constraint allocated_within_quota check (allocated <= quota)
);

-- A request and its answer: the same request again takes nothing.
create table allocation_requests (
  id text primary key,
  cluster_id text not null,
  content jsonb not null,
  answer jsonb,
  at timestamptz not null default clock_timestamp()
);
create index allocation_requests_by_age on allocation_requests (at);

create table allocations (
  id bigint generated always as identity primary key,
  request_id text not null references allocation_requests (id),
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
create index allocations_of_request on allocations (request_id);
create index allocations_held_by_cluster on allocations (cluster_id, id) where state = 'held';
create index allocations_held_of_pool on allocations (pool, resource, id) where state = 'held';
create index allocations_held_by_lease on allocations (lease_expires_at) where state = 'held';

create table allocation_ledger (
  no bigint generated always as identity primary key,
  pool text not null,
  resource text not null,
  cluster_id text not null,
  delta numeric(18, 3) not null check (delta between -1e12 and 1e12),
  reason text not null,
  allocation_id bigint not null,
  at timestamptz not null default clock_timestamp(),
  unique (allocation_id, reason)
);
create index allocation_ledger_of_cluster on allocation_ledger (cluster_id, no);
create index allocation_ledger_of_pool on allocation_ledger (pool, no);
create index allocation_ledger_ended on allocation_ledger (at) where delta < 0;
create index allocation_ledger_sums on allocation_ledger (pool, resource) include (delta);

create table budgets (
  id text primary key,
  cluster_id text not null,
  resource text not null,
  limit_amount numeric(18, 3) not null check (limit_amount >= 0 and limit_amount <= 1e12),
  reserved numeric(18, 3) not null default 0 check (reserved >= 0),
  committed numeric(18, 3) not null default 0 check (committed >= 0),
  -- Spent beyond the limit. It counts against the budget until the limit is raised.
  overdrawn numeric(18, 3) not null default 0 check (overdrawn >= 0 and overdrawn <= 1e15),
  constraint budget_within_limit check (reserved + committed <= limit_amount)
);
create index budgets_of_cluster on budgets (cluster_id, id);

create table holds (
  id text primary key,
  budget_id text not null references budgets (id),
  amount numeric(18, 3) not null check (amount > 0 and amount <= 1e12),
  state text not null default 'open' check (state in ('open', 'committed', 'released', 'expired')),
  -- What was used, and how much of it was beyond the limit.
  actual numeric(18, 3) check (actual >= 0 and actual <= 1e12),
  overdrawn numeric(18, 3) not null default 0,
  -- The agent or orchestrator that reserved: an agent that has left the cluster can still report what it spent.
  reserved_by text,
  reserved_at timestamptz not null default clock_timestamp(),
  lease_expires_at timestamptz not null,
  ended_at timestamptz,
  check ((state = 'open') = (ended_at is null))
);
create index holds_by_end on holds (ended_at);
create index holds_open_by_lease on holds (lease_expires_at) where state = 'open';

create table budget_ledger (
  no bigint generated always as identity primary key,
  budget_id text not null,
  hold_id text not null,
  reserved numeric(18, 3) not null,
  committed numeric(18, 3) not null,
  overdrawn numeric(18, 3) not null,
  reason text not null,
  at timestamptz not null default clock_timestamp()
);
create index budget_ledger_by_age on budget_ledger (at);
create index budget_ledger_sums on budget_ledger (budget_id) include (reserved, committed, overdrawn);

-- The newest reading of each resource of each agent, smoothed. Only the latest sample of a slot counts.
create table usage_latest (
  agent_id text not null,
  resource text not null,
  value double precision not null check (value >= 0 and value <= 1e12),
  -- Value and time of the slot before: the present slot's sample is averaged into them.
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

create table scaling_blocks (
  cluster_id text not null,
  direction text not null check (direction in ('out', 'in')),
  desired integer not null check (desired >= 0),
  until timestamptz not null,
  reason text not null,
  primary key (cluster_id, direction, desired)
);
create index scaling_blocks_by_age on scaling_blocks (until);

create table capacity_requests (
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
create index capacity_requests_of_cluster on capacity_requests (cluster_id, no);
create index capacity_requests_open on capacity_requests (deadline_at) where state = 'open';

create table stability_scores (
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
create index stability_scores_by_age on stability_scores (at);
