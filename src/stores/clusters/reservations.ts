import { sql, type RawBuilder } from 'kysely';
import { queryRows } from '../expressions.js';
import { withCommit } from '../pipelined-pool.js';
import type { ClustersDb, Row } from './schema.js';

export interface NewReservation {
  readonly agentId: string;
  readonly roles: readonly string[];
}

/**
 * Reserves agents for a cluster. A trigger counts each membership on its agent's row, whose constraint refuses one too
 * many.
 * @param into.expiresInSeconds after which the formation interval may release them.
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

/** Releases the memberships that fulfil a condition, locked in agent order, so that two releases do not deadlock. @returns their agents. */
export async function releaseMemberships(
  tx: ClustersDb,
  condition: RawBuilder<unknown>,
  lock = sql`for update`,
): Promise<string[]> {
  const rows = await queryRows<{ agentId: string }>(tx)`
    with held as (select id from memberships where ${condition} order by agent_id ${lock})
    update memberships m set state = 'released', left_at = now() from held where m.id = held.id returning m.agent_id`;
  return rows.map(({ agentId }) => agentId);
}

/** Releases the agents that an operation has reserved. */
export const releaseReservations = (tx: ClustersDb, operationId: string): Promise<string[]> =>
  releaseMemberships(tx, sql`operation_id = ${operationId} and state = 'reserved'`);

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

const isExpired = sql`state = 'reserved' and expires_at < now()`;

/**
 * Releases reservations past their expiry: an agent does not stay reserved for ever because a workflow was terminated.
 * @returns how many were released.
 */
export const releaseExpiredReservations = async (db: ClustersDb): Promise<number> =>
  (await releaseMemberships(db, isExpired, sql`for update skip locked limit 1000`)).length;

/** The reservations that releaseExpiredReservations would release now. */
export const expiredReservations = (db: ClustersDb): Promise<Row<'memberships'>[]> =>
  queryRows<Row<'memberships'>>(db)`select * from memberships where ${isExpired} order by agent_id limit 1000`;
