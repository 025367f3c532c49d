import { sql } from 'kysely';
import { withCommit } from '../pipelined-pool.js';
import type { ClustersDb } from './schema.js';

export interface NewReservation {
  readonly agentId: string;
  readonly roles: readonly string[];
}

/**
 * Reserves agents for a cluster. The trigger on memberships counts each one on its agent's row, whose check
 * constraint refuses one too many.
 * @param expiresInSeconds after which the formation interval may release them if nobody did.
 */
export async function reserve(
  tx: ClustersDb,
  into: {
    readonly clusterId: string;
    readonly operationId: string;
    readonly resources: Readonly<Record<string, number>>;
    readonly expiresInSeconds: number;
  },
  reservations: readonly NewReservation[],
): Promise<void> {
  if (reservations.length === 0) return;
  await sql`${withCommit}
    insert into memberships (cluster_id, agent_id, state, roles, resources, chosen_load, operation_id, expires_at)
    select ${into.clusterId}, a.id, 'reserved', array(select jsonb_array_elements_text(r -> 'roles')),
      ${JSON.stringify(into.resources)}::jsonb, a.load, ${into.operationId},
      now() + make_interval(secs => ${into.expiresInSeconds})
    from jsonb_array_elements(${JSON.stringify(reservations)}::jsonb) r join agents a on a.id = r ->> 'agentId'
    order by a.id`.execute(tx);
}

/** Releases what an operation reserved and never activated. Agents are touched in id order, so two releases cannot deadlock. */
export async function releaseReservations(tx: ClustersDb, operationId: string): Promise<void> {
  await sql`
    with held as (select id from memberships where operation_id = ${operationId} and state = 'reserved'
      order by agent_id for update)
    update memberships m set state = 'released', left_at = now() from held where m.id = held.id`.execute(tx);
}

/** Releases one agent's reservation, as when it declined. */
export async function releaseReservation(
  tx: ClustersDb,
  membershipId: number,
  answer: 'declined' | 'silent',
): Promise<void> {
  await sql`
    update memberships set state = 'released', left_at = now(), answer = ${answer}
    where id = ${membershipId} and state = 'reserved'`.execute(tx);
}

/**
 * Releases reservations past their expiry whose operation no longer needs them or never will: nobody is left
 * reserved for ever because a workflow was terminated.
 * @returns how many were released.
 */
export async function releaseExpiredReservations(db: ClustersDb): Promise<number> {
  const { rows } = await sql`
    with expired as (
      select id from memberships where state = 'reserved' and expires_at < now() order by agent_id
      for update skip locked limit 1000
    )
    update memberships m set state = 'released', left_at = now() from expired where m.id = expired.id
    returning m.id`.execute(db);
  return rows.length;
}

/** What releaseExpiredReservations would release now. */
export async function expiredReservations(
  db: ClustersDb,
): Promise<{ readonly agentId: string; readonly operationId: string }[]> {
  return db
    .selectFrom('memberships')
    .select(['agentId', 'operationId'])
    .where('state', '=', 'reserved')
    .where('expiresAt', '<', sql<Date>`now()`)
    .orderBy('agentId')
    .limit(1000)
    .execute();
}

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

/** The live memberships of a cluster with what its agents are, by agent id. */
export async function membershipsOf(tx: ClustersDb, clusterId: string): Promise<MembershipRow[]> {
  const { rows } = await sql<{ members: MembershipRow[] }>`select members_of(${clusterId}) as members`.execute(tx);
  return rows[0]?.members ?? [];
}

/** Agents that declined this operation's invitation or never answered it. */
export async function unwillingAgents(tx: ClustersDb, operationId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select agent_id as id from memberships where operation_id = ${operationId} and answer in ('declined', 'silent')
  `.execute(tx);
  return rows.map((row) => row.id);
}
