/** How each invariant of scaling and of its resources is broken by hand, and it alone. */
export const damages: Readonly<Record<string, { readonly in: 'clusters' | 'resources'; readonly by: string }>> = {
  'a pool is used no more than it has': {
    in: 'resources',
    by: `alter table pool_capacities drop constraint pool_never_overcommitted;
           update pool_capacities set capacity = 5 where pool = 'llm'`,
  },
  'a pool is used as much as its ledger adds up to': {
    in: 'resources',
    by: `alter table allocation_ledger disable trigger append_only; update allocation_ledger set delta = delta + 1 where delta > 0`,
  },
  'a pool is used as much as its held grants take': {
    in: 'resources',
    by: `update allocations set pool = 'other' where state = 'held'`,
  },
  'a cluster holds what its held grants take': {
    in: 'resources',
    by: `update quotas set allocated = allocated + 1`,
  },
  'a cluster holds no more than its quota': {
    in: 'resources',
    by: `alter table quotas drop constraint allocated_within_quota; update quotas set quota = 5`,
  },
  'a grant was taken once and ended at most once, as its state says': {
    in: 'resources',
    by: `update allocations set state = 'expired' where state = 'released'`,
  },
  'a request for grants was answered once, and as a whole': {
    in: 'resources',
    by: `update allocation_requests set answer = '{"short": []}' where id = 'held'`,
  },
  'a budget reserves what its open reservations take': {
    in: 'resources',
    by: `insert into holds (id, budget_id, amount, lease_expires_at) values ('odd', 'b', 1, now())`,
  },
  'a budget is what its ledger adds up to': {
    in: 'resources',
    by: `update budgets set committed = committed + 1`,
  },
  'what a budget reserved and spent is within its limit': {
    in: 'resources',
    by: `alter table budgets drop constraint budget_within_limit; update budgets set limit_amount = 15`,
  },
  'a closed account holds no grants': {
    in: 'resources',
    by: `update accounts set state = 'closed' where cluster_id = 'cl_main'`,
  },
  'a member is leaving only while its operation runs': {
    in: 'clusters',
    by: `update memberships set state = 'leaving' where left_by = 'shrunk'`,
  },
  'who was made to leave was made to by a scaling of its cluster': {
    in: 'clusters',
    by: `insert into memberships (cluster_id, agent_id, state, operation_id, left_by, left_at)
           values ('cl_main', 'agent-5', 'released', 'main', 'main', now())`,
  },
  'a scaling is completed exactly when its stability was verified, and has its result': {
    in: 'clusters',
    by: `delete from operation_steps where operation_id = 'shrunk' and step = 'verifyStability'`,
  },
  'no two scalings change a cluster at one time': {
    in: 'clusters',
    by: `update operations set ended_at = now() + interval '1 hour' where id = 'grown'`,
  },
  'who joined and left by a scaling is who its result says': {
    in: 'clusters',
    by: `update operation_steps set result = jsonb_set(result, '{left}', '["nobody"]')
           where operation_id = 'shrunk' and step = 'verifyStability';
         update operations set result = jsonb_set(result, '{left}', '["nobody"]') where id = 'shrunk'`,
  },
  'what scaling changed is on record, and nothing else': {
    in: 'resources',
    by: `delete from scaling_changes where operation_id = 'shrunk'`,
  },
  'a decision has an outcome once its operation is over': {
    in: 'resources',
    by: `update decisions set outcome = null where operation_id = 'grown'`,
  },
  'a request to the orchestrator is open only while its operation runs': {
    in: 'resources',
    by: `update capacity_requests set state = 'open', answered_at = null`,
  },
  'grants are held, and requests open, for clusters that are there': {
    in: 'resources',
    by: `update allocations set cluster_id = 'cl_nowhere'; update quotas set cluster_id = 'cl_nowhere'`,
  },
};
