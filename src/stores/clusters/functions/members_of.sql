-- The reserved and active memberships of a cluster with what is known of their agents, by agent id, as one JSON array: a
-- step reads it in the statement that takes its lock.
-- Volatile, so that it sees what was committed while that statement waited for the lock. Locks nothing.
-- Tests: test/concurrency/late-attempts.test.ts, test/workflows/formation.test.ts.
create or replace function members_of(wanted_cluster text) returns json language plpgsql volatile as $$
begin
  return (
    select coalesce(json_agg(row_to_json(members) order by members."agentId"), '[]'::json) from (
      select m.id, m.agent_id as "agentId", m.state, m.roles, m.operation_id as "operationId", m.answer,
        m.answer_reason as "answerReason", m.tries, m.chosen_load as "chosenLoad",
        extract(epoch from clock_timestamp() - m.invited_at)::float8 as "invitedSecondsAgo",
        a.acceptance, a.load, a.host, a.zone, a.capabilities, a.resources, a.held,
        a.cluster_count as "clusterCount", a.max_clusters as "maxClusters", a.recent_flaps as "recentFlaps",
        (a.left_at is null and a.lease_expires_at > now()) as alive
      from memberships m join agents a on a.id = m.agent_id
      where m.cluster_id = wanted_cluster and m.state in ('reserved', 'active')
    ) members
  );
end $$;
