import { queryRow, queryRows } from '../expressions.js';
import type { ClustersDb, Row } from './schema.js';

/** A reserved or active membership with what is known of its agent. */
export interface MembershipRow
  extends
    Pick<Row<'memberships'>, 'id' | 'agentId' | 'roles' | 'operationId' | 'answer' | 'answerReason' | 'tries'>,
    Pick<Row<'memberships'>, 'chosenLoad'>,
    Pick<Row<'agents'>, 'acceptance' | 'load' | 'host' | 'zone' | 'capabilities' | 'resources' | 'held'>,
    Pick<Row<'agents'>, 'clusterCount' | 'maxClusters' | 'recentFlaps'> {
  readonly state: 'reserved' | 'active';
  /** Seconds since the last invitation, by the database's clock. */
  readonly invitedSecondsAgo: number | null;
  readonly alive: boolean;
}

/** The reserved and active memberships of a cluster, by agent id. */
export async function membershipsOf(tx: ClustersDb, clusterId: string): Promise<MembershipRow[]> {
  const row = await queryRow<{ members: MembershipRow[] }>(tx)`select members_of(${clusterId}) as members`;
  return row?.members ?? [];
}

/** Agents that declined this operation's invitation or never answered it. */
export async function unwillingAgents(tx: ClustersDb, operationId: string): Promise<string[]> {
  const rows = await queryRows<{ agentId: string }>(tx)`
    select agent_id from memberships where operation_id = ${operationId} and answer in ('declined', 'silent')`;
  return rows.map(({ agentId }) => agentId);
}
