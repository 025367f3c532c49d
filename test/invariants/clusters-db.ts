import { inDatabase, type Invariant } from './invariant.js';

const clusters = inDatabase('clusters');

const live = `state <> 'released'`;

/** Invariants of agents and memberships. */
export const membershipInvariants: readonly Invariant[] = [
  clusters(
    'always',
    'an agent is in at most maxClusters clusters',
    `select a.id, a.max_clusters, count(*) from agents a join memberships m on m.agent_id = a.id and m.${live}
     group by a.id having count(*) > a.max_clusters`,
  ),
  clusters(
    'always',
    "an agent's cluster count equals the number of its live memberships",
    `select a.id, a.cluster_count, count(m.id) from agents a left join memberships m on m.agent_id = a.id and m.${live}
     group by a.id having count(m.id) <> a.cluster_count`,
  ),
  clusters(
    'always',
    "an agent's held resources equal the sum over its live memberships",
    `with held as (
       select m.agent_id, r.key, sum(r.value::numeric) as amount
       from memberships m, jsonb_each_text(m.resources) r where m.${live} group by 1, 2 having sum(r.value::numeric) <> 0
     ), stored as (select a.id as agent_id, h.key, h.value::numeric as amount from agents a, jsonb_each_text(a.held) h)
     (select * from held except select * from stored) union all (select * from stored except select * from held)`,
  ),
  clusters(
    'always',
    "an agent's held resources stay within what it offers",
    `select a.id, h.key, h.value, a.resources from agents a, jsonb_each_text(a.held) h
     where h.value::numeric > coalesce((a.resources ->> h.key)::numeric, 0)`,
  ),
  clusters(
    'always',
    'an active cluster has between size.min and size.max members',
    `select c.id, c.spec -> 'size' as size, count(m.id) from clusters c
       left join memberships m on m.cluster_id = c.id and m.state = 'active'
     where c.state = 'active' group by c.id
     having count(m.id) not between (c.spec -> 'size' ->> 'min')::int and (c.spec -> 'size' ->> 'max')::int`,
  ),
  clusters(
    'always',
    'a failed cluster has no active member',
    `select m.* from memberships m join clusters c on c.id = m.cluster_id where m.state = 'active' and c.state = 'failed'`,
  ),
  clusters(
    'quiet',
    'a failed or dissolved cluster has no live membership',
    `select m.* from memberships m join clusters c on c.id = m.cluster_id
     where m.${live} and c.state in ('failed', 'dissolved') and not (m.state = 'active' and c.state = 'failed')`,
  ),
  clusters(
    'quiet',
    'a reservation belongs to a running or queued operation',
    `select m.* from memberships m left join operations o on o.id = m.operation_id
     where m.state = 'reserved' and (o.state is null or o.state not in ('running', 'queued'))`,
  ),
  clusters(
    'always',
    'the current epoch lists the active members',
    `with listed as (
       select e.cluster_id, e.agent_id, e.roles from membership_epochs e
       join clusters c on c.id = e.cluster_id and c.epoch = e.epoch where c.state = 'active'
     ), members as (
       select m.cluster_id, m.agent_id, m.roles from memberships m
       join clusters c on c.id = m.cluster_id and c.state = 'active' where m.state = 'active'
     )
     (select * from listed except select * from members) union all (select * from members except select * from listed)`,
  ),
  clusters(
    'always',
    'the coordinator of an active cluster is one of its members',
    `select c.id, c.coordinator from clusters c where c.state = 'active' and not exists (
       select 1 from memberships m where m.cluster_id = c.id and m.agent_id = c.coordinator and m.state = 'active')`,
  ),
];

/** Invariants of operations, their steps and the event log. */
const operationInvariants: readonly Invariant[] = [
  clusters(
    'quiet',
    'no operation stays running or queued',
    `select id, kind, state, created_at from operations where state in ('running', 'queued')`,
  ),
  clusters(
    'always',
    'an operation has an end time exactly when it is in a final state',
    `select id, state, ended_at from operations where (state in ('running', 'queued')) <> (ended_at is null)`,
  ),
  clusters(
    'always',
    "a formation is completed exactly when its last step was saved, with that step's result",
    `select o.id, o.state from operations o left join operation_steps s on s.operation_id = o.id and s.step = 'initializeCluster'
     where o.kind in ('FORMATION', 'REPAIR')
       and ((o.state = 'completed') <> (s.step is not null) or (o.state = 'completed' and o.result is distinct from s.result))`,
  ),
  clusters(
    'always',
    'a completed formation saved all four steps and undid none',
    `select o.id from operations o join operation_steps s on s.operation_id = o.id
     where o.kind in ('FORMATION', 'REPAIR') and o.state = 'completed' group by o.id
     having count(distinct s.step) filter (where s.step in
         ('identifyAgents', 'defineCluster', 'establishConnections', 'initializeCluster')) <> 4
       or count(*) filter (where s.step like 'undo:%') > 0`,
  ),
  clusters(
    'quiet',
    'an operation that did not complete has every saved step undone',
    `select s.operation_id, s.step from operations o join operation_steps s on s.operation_id = o.id
     where o.state in ('compensated', 'refused', 'cancelled') and s.step not like 'undo:%'
       -- These two are never undone.
       and o.kind not in ('DISSOLUTION', 'COMMUNICATION')
       and not exists (select 1 from operation_steps u where u.operation_id = o.id and u.step = 'undo:' || s.step)`,
  ),
  clusters(
    'quiet',
    'a formation that did not complete leaves no live cluster',
    `select c.id, c.state, o.state as operation from clusters c join operations o on o.id = c.operation_id
     where o.kind = 'FORMATION' and o.state in ('compensated', 'refused', 'cancelled') and c.state <> 'failed'`,
  ),
  clusters(
    'quiet',
    'no cluster stays forming or dissolving',
    `select id, state from clusters where state in ('forming', 'dissolving')`,
  ),
  clusters(
    'always',
    'a step of an operation is saved at most once per round',
    `select operation_id, step, round, count(*) from operation_steps group by 1, 2, 3 having count(*) > 1`,
  ),
  clusters(
    'always',
    'an operation adds at most one event to the event log',
    `select operation_id, count(*) from events where operation_id is not null group by 1 having count(*) > 1`,
  ),
  clusters(
    'always',
    "the members in a formation's result are those of its epoch",
    `with reported as (
       select o.id, o.result ->> 'clusterId' as cluster_id, (o.result ->> 'epoch')::int as epoch, m ->> 'agentId' as agent_id
       from operations o, jsonb_array_elements(o.result -> 'members') m
       where o.kind in ('FORMATION', 'REPAIR') and o.state = 'completed'
     )
     select r.*, null as listed from reported r where not exists (
       select 1 from membership_epochs e where (e.cluster_id, e.epoch, e.agent_id) = (r.cluster_id, r.epoch, r.agent_id))
     union all
     select r.id, e.cluster_id, e.epoch, null, e.agent_id from membership_epochs e
     join (select distinct id, cluster_id, epoch from reported) r on (r.cluster_id, r.epoch) = (e.cluster_id, e.epoch)
     where not exists (select 1 from reported x where (x.id, x.agent_id) = (r.id, e.agent_id))`,
  ),
  clusters(
    'always',
    'the event log is numbered without gaps',
    `select count(*), max(e.seq), h.last_seq from event_head h left join events e on true group by h.last_seq
     having count(e.seq) <> coalesce(max(e.seq), 0) or coalesce(max(e.seq), 0) <> h.last_seq`,
  ),
];

export const clustersInvariants: readonly Invariant[] = [...membershipInvariants, ...operationInvariants];
