import { inDatabase, type Invariant } from './invariant.js';

const resources = inDatabase('resources');

/** Invariants of pools, grants and budgets. */
export const inResources: readonly Invariant[] = [
  resources(
    'always',
    'a pool is used no more than it has',
    `select pool, resource, used, capacity from pool_capacities where used < 0 or used > capacity`,
  ),
  resources(
    'always',
    'a pool is used as much as its ledger adds up to',
    `select pool, resource, coalesce(c.used, 0) as used, coalesce(l.sum, 0) as ledger from pool_capacities c
     full join (select pool, resource, sum(delta) from allocation_ledger group by 1, 2) l using (pool, resource)
     where coalesce(c.used, 0) <> coalesce(l.sum, 0)`,
  ),
  resources(
    'always',
    'a pool is used as much as its held grants take',
    `select pool, resource, coalesce(c.used, 0) as used, coalesce(g.sum, 0) as granted from pool_capacities c
     full join (select pool, resource, sum(amount) from allocations where state = 'held' group by 1, 2) g using (pool, resource)
     where coalesce(c.used, 0) <> coalesce(g.sum, 0)`,
  ),
  resources(
    'always',
    'a cluster holds what its held grants take',
    `select cluster_id, resource, coalesce(h.allocated, 0) as held, coalesce(g.sum, 0) as granted from quotas h
     full join (select cluster_id, resource, sum(amount) from allocations where state = 'held' group by 1, 2) g
       using (cluster_id, resource)
     where coalesce(h.allocated, 0) <> coalesce(g.sum, 0)`,
  ),
  resources(
    'always',
    'a cluster holds no more than its quota',
    `select cluster_id, resource, allocated, quota from quotas where allocated > quota`,
  ),
  resources(
    'always',
    'a grant was taken once and ended at most once, as its state says',
    `select g.id, g.state, array_agg(l.reason order by l.no) as entered from allocations g
     left join allocation_ledger l on l.allocation_id = g.id group by g.id
     having array_agg(l.reason order by l.no) is distinct from
       case when g.state = 'held' then array['taken'] else array['taken', g.state] end`,
  ),
  resources(
    'always',
    'a request for grants was answered once, and as a whole',
    `select r.id, r.answer, r.content, count(g.id) as grants from allocation_requests r left join allocations g on g.request_id = r.id
     group by r.id having r.answer is null
       or count(g.id) <> case when r.answer ? 'granted' then jsonb_array_length(r.content -> 'amounts') else 0 end`,
  ),
  resources(
    'always',
    'a budget reserves what its open reservations take',
    `select b.id, b.reserved, sum(r.amount) as open from budgets b
     left join holds r on r.budget_id = b.id and r.state = 'open'
     group by b.id having b.reserved <> coalesce(sum(r.amount), 0)`,
  ),
  resources(
    'always',
    'a budget is what its ledger adds up to',
    `select b.id, b.reserved, b.committed, b.overdrawn from budgets b left join budget_ledger l on l.budget_id = b.id
     group by b.id having (b.reserved, b.committed, b.overdrawn)
       <> (coalesce(sum(l.reserved), 0), coalesce(sum(l.committed), 0), coalesce(sum(l.overdrawn), 0))`,
  ),
  resources(
    'always',
    'what a budget reserved and spent is within its limit',
    `select id, reserved, committed, limit_amount from budgets where reserved + committed > limit_amount`,
  ),
  resources(
    'quiet',
    'a closed account holds no grants',
    `select g.id, g.cluster_id, g.amount from allocations g join accounts a on a.cluster_id = g.cluster_id
     where g.state = 'held' and a.state = 'closed'`,
  ),
];
