import { sql, type Kysely } from 'kysely';

/** Members may be on their way out, and an agent's load counts only once it has told one. */
export const scaling = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      alter table agents add column tells_load boolean not null default false;

      -- 'leaving': no mail is routed to it any more, but its agent is not free before it had time for what it has.
      alter table memberships drop constraint memberships_state_check;
      alter table memberships
        add constraint memberships_state_check check (state in ('reserved', 'active', 'leaving', 'released')),
        add column leaving_since timestamptz,
        -- The operation that made it leave; a member that went without one was lost.
        add column left_by text;
      create index memberships_lost on memberships (cluster_id, left_at)
        where state = 'released' and joined_at is not null and left_by is null;
    `.execute(db);
    await sql`
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
    `.execute(db);
  },
};
