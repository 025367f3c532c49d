import { inDatabase, type Invariant } from './invariant.js';

const resources = inDatabase('resources');

/** Invariants of pools, allocations and budgets. */
export const resourcesInvariants: readonly Invariant[] = [
  resources(
    'always',
    "a pool's use stays within its capacity",
    `select pool, resource, used, capacity from pool_capacities where used < 0 or used > capacity`,
  ),
  resources(
    'always',
    "a pool's use equals the sum of its ledger",
    `select pool, resource, coalesce(c.used, 0) as used, coalesce(l.sum, 0) as ledger from pool_capacities c
     full join (select pool, resource, sum(delta) from allocation_ledger group by 1, 2) l using (pool, resource)
     where coalesce(c.used, 0) <> coalesce(l.sum, 0)`,
  ),
  resources(
    'always',
    "a pool's use equals the sum of its held allocations",
    `select pool, resource, coalesce(c.used, 0) as used, coalesce(g.sum, 0) as allocations from pool_capacities c
     full join (select pool, resource, sum(amount) from allocations where state = 'held' group by 1, 2) g using (pool, resource)
     where coalesce(c.used, 0) <> coalesce(g.sum, 0)`,
  ),
  resources(
    'always',
    "a cluster's allocated amount equals the sum of its held allocations",
    `select cluster_id, resource, coalesce(h.allocated, 0) as held, coalesce(g.sum, 0) as allocations from quotas h
     full join (select cluster_id, resource, sum(amount) from allocations where state = 'held' group by 1, 2) g
       using (cluster_id, resource)
     where coalesce(h.allocated, 0) <> coalesce(g.sum, 0)`,
  ),
  resources(
    'always',
    "a cluster's allocated amount stays within its quota",
    `select cluster_id, resource, allocated, quota from quotas where allocated > quota`,
  ),
  resources(
    'always',
    'the ledger has one entry for taking an allocation and at most one for its end, as its state says',
    `select g.id, g.state, array_agg(l.reason order by l.no) as entered from allocations g
     left join allocation_ledger l on l.allocation_id = g.id group by g.id
     having array_agg(l.reason order by l.no) is distinct from
       case when g.state = 'held' then array['taken'] else array['taken', g.state] end`,
  ),
  resources(
    'always',
    'an allocation request has one answer, which grants all of its amounts or none',
    `select r.id, r.answer, r.content, count(g.id) as grants from allocation_requests r left join allocations g on g.request_id = r.id
     group by r.id having r.answer is null
       or count(g.id) <> case when r.answer ? 'granted' then jsonb_array_length(r.content -> 'amounts') else 0 end`,
  ),
  resources(
    'always',
    "a budget's reserved amount equals the sum of its open holds",
    `select b.id, b.reserved, sum(r.amount) as open from budgets b
     left join holds r on r.budget_id = b.id and r.state = 'open'
     group by b.id having b.reserved <> coalesce(sum(r.amount), 0)`,
  ),
  resources(
    'always',
    "a budget's amounts equal the sums of its ledger",
    `select b.id, b.reserved, b.committed, b.overdrawn from budgets b left join budget_ledger l on l.budget_id = b.id
     group by b.id having (b.reserved, b.committed, b.overdrawn)
       <> (coalesce(sum(l.reserved), 0), coalesce(sum(l.committed), 0), coalesce(sum(l.overdrawn), 0))`,
  ),
  resources(
    'always',
    "a budget's reserved and committed amounts stay within its limit",
    `select id, reserved, committed, limit_amount from budgets where reserved + committed > limit_amount`,
  ),
  resources(
    'quiet',
    'a closed account has no held allocation',
    `select g.id, g.cluster_id, g.amount from allocations g join accounts a on a.cluster_id = g.cluster_id
     where g.state = 'held' and a.state = 'closed'`,
  ),
];
