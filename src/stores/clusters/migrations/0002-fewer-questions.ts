import { sql, type Kysely } from 'kysely';

export const fewerQuestions = {
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`
      -- The live memberships of a cluster with what its agents are, by agent id, as one value: a step asks for it in the
      -- same question that takes its lock. Volatile, so it sees what was committed while that question waited.
      create function members_of(wanted text) returns json language plpgsql volatile as $$
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
            where m.cluster_id = wanted and m.state <> 'released'
          ) members
        );
      end $$;
    `.execute(db);
    await sql`
      -- New memberships are counted in one statement for all of them. Who reserves has locked the agents in id order
      -- before. Amounts are added row by row: two rows may be one agent's.
      create function count_new_memberships() returns trigger language plpgsql as $$
      declare
        fresh record;
      begin
        if exists (select 1 from new_rows where resources <> '{}'::jsonb) then
          for fresh in select agent_id, resources from new_rows where state <> 'released' order by agent_id loop
            update agents set cluster_count = cluster_count + 1,
              held = case when fresh.resources = '{}'::jsonb then held else add_amounts(held, fresh.resources, 1) end
            where id = fresh.agent_id;
          end loop;
        else
          update agents a set cluster_count = a.cluster_count + counted.memberships
          from (select agent_id, count(*) as memberships from new_rows where state <> 'released'
            group by agent_id order by agent_id) counted
          where a.id = counted.agent_id;
        end if;
        return null;
      end $$;

      drop trigger memberships_counted on memberships;
      create trigger memberships_counted after insert on memberships
        referencing new table as new_rows for each statement execute function count_new_memberships();
      create trigger memberships_uncounted after delete on memberships
        for each row execute function count_membership();
      create trigger memberships_recounted after update of state on memberships
        for each row when ((old.state = 'released') <> (new.state = 'released')) execute function count_membership();
    `.execute(db);
  },
};
