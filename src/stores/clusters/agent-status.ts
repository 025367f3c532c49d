import { queryRow, queryRows } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

export interface AgentStatusRow {
  readonly id: string;
  readonly status: 'live' | 'unready' | 'lapsed' | 'left';
}

/** A page of the status of agents by id, which the routing of messages goes by. */
export const listAgentStatuses = (db: ClustersDb, after: string, limit: number): Promise<AgentStatusRow[]> =>
  queryRows<AgentStatusRow>(db)`
    select a.id, case when a.left_at is not null then 'left' when a.lease_expires_at <= now() then 'lapsed'
      when a.readiness in ('draining', 'unavailable') then 'unready' else 'live' end as status
    from agents a where a.id > ${after} order by a.id limit ${limit}`;

/**
 * An agent's capabilities, or undefined when there is no such agent or it has left. Waits for a registration in progress,
 * and then reads left_at as that wrote it: a filter in the statement would be applied to the row as it was before.
 */
export async function capabilitiesOf(db: ClustersDb, id: string): Promise<readonly string[] | undefined> {
  const agent = await queryRow<Pick<Row<'agents'>, 'capabilities' | 'leftAt'>>(db)`
    select capabilities, left_at from agents where id = ${id} for share`;
  return agent?.leftAt === null ? agent.capabilities : undefined;
}
