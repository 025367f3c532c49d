/** For each invariant of scaling and resources, SQL that violates it and no other. */
export const corruptions: Readonly<Record<string, { readonly in: 'clusters' | 'resources'; readonly by: string }>> = {
  "a pool's use stays within its capacity": {
    in: 'resources',
    by: `alter table pool_capacities drop constraint pool_never_overcommitted;
           update pool_capacities set capacity = 5 where pool = 'llm'`,
  },
  "a pool's use equals the sum of its ledger": {
    in: 'resources',
    by: `alter table allocation_ledger disable trigger append_only; update allocation_ledger set delta = delta + 1 where delta > 0`,
  },
  "a pool's use equals the sum of its held allocations": {
    in: 'resources',
    by: `update allocations set pool = 'other' where state = 'held'`,
  },
  "a cluster's allocated amount equals the sum of its held allocations": {
    in: 'resources',
    by: `update quotas set allocated = allocated + 1`,
  },
  "a cluster's allocated amount stays within its quota": {
    in: 'resources',
    by: `alter table quotas drop constraint allocated_within_quota; update quotas set quota = 5`,
  },
  'the ledger has one entry for taking an allocation and at most one for its end, as its state says': {
    in: 'resources',
    by: `update allocations set state = 'expired' where state = 'released'`,
  },
  'an allocation request has one answer, which grants all of its amounts or none': {
    in: 'resources',
    by: `update allocation_requests set answer = '{"short": []}' where id = 'held'`,
  },
  "a budget's reserved amount equals the sum of its open holds": {
    in: 'resources',
    by: `insert into holds (id, budget_id, amount, lease_expires_at) values ('odd', 'b', 1, now())`,
  },
  "a budget's amounts equal the sums of its ledger": {
    in: 'resources',
    by: `update budgets set committed = committed + 1`,
  },
  "a budget's reserved and committed amounts stay within its limit": {
    in: 'resources',
    by: `alter table budgets drop constraint budget_within_limit; update budgets set limit_amount = 15`,
  },
  'a closed account has no held allocation': {
    in: 'resources',
    by: `update accounts set state = 'closed' where cluster_id = 'cl_main'`,
  },
  'a member is leaving only while the operation that removes it runs': {
    in: 'clusters',
    by: `update memberships set state = 'leaving' where left_by = 'shrunk'`,
  },
  'a member is removed only by a scaling of its own cluster': {
    in: 'clusters',
    by: `insert into memberships (cluster_id, agent_id, state, operation_id, left_by, left_at)
           values ('cl_main', 'agent-5', 'released', 'main', 'main', now())`,
  },
  "a scaling is completed exactly when verifyStability was saved, with that step's result": {
    in: 'clusters',
    by: `delete from operation_steps where operation_id = 'shrunk' and step = 'verifyStability'`,
  },
  'two scalings never change the same cluster at the same time': {
    in: 'clusters',
    by: `update operations set ended_at = now() + interval '1 hour' where id = 'grown'`,
  },
  'the agents that a scaling added and removed are those in its result': {
    in: 'clusters',
    by: `update operation_steps set result = jsonb_set(result, '{left}', '["nobody"]')
           where operation_id = 'shrunk' and step = 'verifyStability';
         update operations set result = jsonb_set(result, '{left}', '["nobody"]') where id = 'shrunk'`,
  },
  'the recorded scaling changes are exactly those that scalings made': {
    in: 'resources',
    by: `delete from scaling_changes where operation_id = 'shrunk'`,
  },
  'a decision has an outcome once its operation has ended': {
    in: 'resources',
    by: `update decisions set outcome = null where operation_id = 'grown'`,
  },
  'a capacity request is open only while its operation runs': {
    in: 'resources',
    by: `update capacity_requests set state = 'open', answered_at = null`,
  },
  'held allocations and open capacity requests belong to existing clusters': {
    in: 'resources',
    by: `update allocations set cluster_id = 'cl_nowhere'; update quotas set cluster_id = 'cl_nowhere'`,
  },
};
