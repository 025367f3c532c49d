import { sql } from 'kysely';
import type { ClustersDb } from './schema.js';

export interface MembershipRow {
  readonly id: number;
  readonly agentId: string;
  readonly state: 'reserved' | 'active';
  readonly roles: readonly string[];
  readonly operationId: string;
  readonly answer: 'none' | 'invited' | 'accepted' | 'declined' | 'silent';
  readonly answerReason: string | null;
  readonly tries: number;
  /** Seconds since the last invitation, by the database's clock. */
  readonly invitedSecondsAgo: number | null;
  readonly acceptance: 'auto' | 'ask';
  readonly chosenLoad: number;
  readonly load: number;
  readonly host: string | null;
  readonly zone: string | null;
  readonly capabilities: readonly string[];
  readonly alive: boolean;
  readonly clusterCount: number;
  readonly maxClusters: number;
  readonly recentFlaps: number;
  readonly resources: Readonly<Record<string, number>>;
  readonly held: Readonly<Record<string, number>>;
}

/** The reserved and active memberships of a cluster with what is known of their agents, by agent id. */
export async function membershipsOf(tx: ClustersDb, clusterId: string): Promise<MembershipRow[]> {
  const { rows } = await sql<{ members: MembershipRow[] }>`select members_of(${clusterId}) as members`.execute(tx);
  return rows[0]?.members ?? [];
}

/** Agents that declined this operation's invitation or never answered it. */
export async function unwillingAgents(tx: ClustersDb, operationId: string): Promise<string[]> {
  const rows = await tx
    .selectFrom('memberships')
    .select('agentId')
    .where('operationId', '=', operationId)
    .where('answer', 'in', ['declined', 'silent'])
    .execute();
  return rows.map(({ agentId }) => agentId);
}
