create or replace function members_of(wanted text) returns json language plpgsql volatile as $$
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
      where m.cluster_id = wanted and m.state in ('reserved', 'active')
    ) members
  );
end $$;
