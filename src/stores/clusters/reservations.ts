import { sql } from 'kysely';
import { withCommit } from '../pipelined-pool.js';
import type { ClustersDb } from './schema.js';

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

/** Releases the agents that an operation has reserved. They are locked in id order, so that two releases do not deadlock. */
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
  await tx
    .updateTable('memberships')
    .set({ state: 'released', leftAt: sql`now()`, answer })
    .where('id', '=', membershipId)
    .where('state', '=', 'reserved')
    .execute();
}

/**
 * Releases reservations past their expiry: an agent does not stay reserved for ever because a workflow was terminated.
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

/** The reservations that releaseExpiredReservations would release now. */
export const expiredReservations = (
  db: ClustersDb,
): Promise<{ readonly agentId: string; readonly operationId: string }[]> =>
  db
    .selectFrom('memberships')
    .select(['agentId', 'operationId'])
    .where('state', '=', 'reserved')
    .where('expiresAt', '<', sql<Date>`now()`)
    .orderBy('agentId')
    .limit(1000)
    .execute();
