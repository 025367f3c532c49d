import { sql } from 'kysely';
import type { ClustersDb } from './schema.js';

export interface AgentStatusRow {
  readonly id: string;
  readonly standing: 'live' | 'unready' | 'lapsed' | 'left';
}

/** How agents stand now, by id, a page at a time: what the routing of messages goes by. */
export async function listAgentStatuses(db: ClustersDb, id: string, limit: number): Promise<AgentStatusRow[]> {
  const { rows } = await sql<AgentStatusRow>`
    select a.id, case when a.left_at is not null then 'left' when a.lease_expires_at <= now() then 'lapsed'
      when a.readiness in ('draining', 'unavailable') then 'unready' else 'live' end as standing
    from agents a where a.id > ${id} order by a.id limit ${limit}`.execute(db);
  return rows;
}

/**
 * What an agent can do, or undefined when there is no such agent or it has left. Waits for who is registering it: a
 * filter on left_at would be asked of the row as it was before.
 */
export async function capabilitiesOf(db: ClustersDb, id: string): Promise<readonly string[] | undefined> {
  const { rows } = await sql<{ capabilities: readonly string[]; isHere: boolean }>`
    select capabilities, left_at is null as "isHere" from agents where id = ${id} for share`.execute(db);
  return rows[0]?.isHere ? rows[0].capabilities : undefined;
}
