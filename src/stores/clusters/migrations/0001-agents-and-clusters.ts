import { sql, type Kysely } from 'kysely';

export const agentsAndClusters = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
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
        usage jsonb not null default '{}',
        inbox_depth integer not null default 0,
        recent_flaps integer not null default 0,
        lease_expires_at timestamptz not null,
        handed_over_at timestamptz,
        quarantined_until timestamptz,
        registered_at timestamptz not null default now(),
        left_at timestamptz,
        enrolled_by text,
        match_order integer not null generated always as (hashtext(id) & 2147483647) stored,
        -- The promise "an agent in at most max_clusters clusters" is this line and the trigger below, not code.
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
        state text not null check (state in ('reserved', 'active', 'released')),
        roles text[] not null default '{}',
        resources jsonb not null default '{}',
        -- The agent's load when it was chosen: a retry elects the same coordinator whatever heartbeats say since.
        chosen_load real not null default 0,
        operation_id text not null,
        answer text not null default 'none' check (answer in ('none', 'invited', 'accepted', 'declined', 'silent')),
        answer_reason text,
        tries integer not null default 0,
        invited_at timestamptz,
        expires_at timestamptz,
        epoch integer,
        joined_at timestamptz,
        left_at timestamptz
      );
      create unique index memberships_once_per_cluster on memberships (cluster_id, agent_id) where state <> 'released';
      create index memberships_of_agent on memberships (agent_id) where state <> 'released';
      create index memberships_of_operation on memberships (operation_id);
      create index memberships_reserved on memberships (expires_at) where state = 'reserved';

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
      -- One row, updated under its lock: a reader after seq N can never be overtaken by a slower writer of N - 1.
      create table event_head (last_seq bigint not null);
      insert into event_head values (0);

      create table servers (
        id text primary key,
        started_at timestamptz not null default now(),
        seen_at timestamptz not null
      );
    `.execute(db);
    await sql`
      create function add_amounts(a jsonb, b jsonb, sign integer) returns jsonb language sql immutable as $$
        select coalesce(jsonb_object_agg(key, total), '{}'::jsonb)
        from (
          select key, sum(amount) as total
          from (
            select key, value::numeric as amount from jsonb_each_text(a)
            union all
            select key, sign * value::numeric from jsonb_each_text(b)
          ) parts group by key
        ) totals where total <> 0
      $$;

      create function fits_within(part jsonb, whole jsonb) returns boolean language sql immutable as $$
        select not exists (
          select 1 from jsonb_each_text(part) p where p.value::numeric > coalesce((whole ->> p.key)::numeric, 0)
        )
      $$;
      alter table agents add constraint agents_held_within_offer
        check (held = '{}'::jsonb or fits_within(held, resources));

      -- Keeps each agent's count and held amounts equal to its live memberships whoever writes them, and takes the
      -- agent's row lock in doing so: two formations that want the last place meet at the check constraint.
      create function count_membership() returns trigger language plpgsql as $$
      declare
        was boolean := tg_op <> 'INSERT' and old.state <> 'released';
        now_live boolean := tg_op <> 'DELETE' and new.state <> 'released';
      begin
        if was and not now_live then
          update agents set cluster_count = cluster_count - 1,
            held = case when old.resources = '{}'::jsonb then held else add_amounts(held, old.resources, -1) end
          where id = old.agent_id;
        elsif now_live and not was then
          update agents set cluster_count = cluster_count + 1,
            held = case when new.resources = '{}'::jsonb then held else add_amounts(held, new.resources, 1) end
          where id = new.agent_id;
        end if;
        return null;
      end $$;
      create function count_fleet() returns trigger language plpgsql as $$
      begin
        insert into fleet_counts as f (shard, agents)
          select match_order % 16, count(*) filter (where left_at is null) from new_rows group by 1 order by 1
          on conflict (shard) do update set agents = f.agents + excluded.agents where excluded.agents <> 0;
        return null;
      end $$;
      create trigger fleet_counted after insert on agents
        referencing new table as new_rows for each statement execute function count_fleet();

      create function recount_agent() returns trigger language plpgsql as $$
      begin
        update fleet_counts set agents = agents + case when new.left_at is null then 1 else -1 end
        where shard = new.match_order % 16;
        return null;
      end $$;
      create trigger fleet_recounted after update of left_at on agents for each row
        when ((old.left_at is null) <> (new.left_at is null)) execute function recount_agent();

      -- Each statement in here sees what was committed before it: after the wait for the lock, not before.
      create function open_step(operation text, wanted text, wanted_round integer)
        returns table (id text, kind text, state text, cluster_id text, workflow_id text, request jsonb,
          request_hash text, requested_by text, result jsonb, error jsonb, created_at timestamptz,
          queued_at timestamptz, ended_at timestamptz, is_done boolean, is_undone boolean, done jsonb, plan jsonb)
        language plpgsql as $$
      begin
        perform 1 from operations o where o.id = operation for update;
        return query
          select o.id, o.kind, o.state, o.cluster_id, o.workflow_id, o.request, o.request_hash, o.requested_by,
            o.result, o.error, o.created_at, o.queued_at, o.ended_at, s.step is not null, u.step is not null, s.result,
            (select p.result from operation_steps p where p.operation_id = o.id and p.step = 'identifyAgents'
              order by p.round desc limit 1)
          from operations o
            left join operation_steps s on s.operation_id = o.id and s.step = wanted and s.round = wanted_round
            left join operation_steps u on u.operation_id = o.id and u.step = 'undo:' || wanted
          where o.id = operation;
      end $$;

      create trigger memberships_counted after insert or delete or update of state on memberships
        for each row execute function count_membership();
    `.execute(db);
  },
};
