import { sql } from 'kysely';
import type { Heartbeat } from '../../contracts/agents.js';
import { queryRows } from '../expressions.js';
import type { ClustersDb } from './schema.js';

export interface BeatAnswer {
  readonly leaseExpiresAt: Date;
  /** The epoch of each cluster the agent is an active member of. */
  readonly epoch: Readonly<Record<string, number>>;
}

/**
 * Renews the leases of many agents in one statement.
 * @param beats the newest heartbeat of each agent.
 * @returns an answer for each known agent; one that is missing must register again.
 */
export async function saveHeartbeats(
  db: ClustersDb,
  beats: ReadonlyMap<string, Heartbeat>,
  leaseSeconds: number,
): Promise<ReadonlyMap<string, BeatAnswer>> {
  const entries = [...beats].sort(([a], [b]) => (a < b ? -1 : 1));
  const column = <Value>(pick: (beat: Heartbeat) => Value | undefined) => entries.map(([, beat]) => pick(beat) ?? null);
  // Rows are locked in id order by the subselect, so that two servers that flush at once do not deadlock.
  const rows = await queryRows<BeatAnswer & { id: string }>(db)`
    with beat as (
      select * from unnest(${entries.map(([id]) => id)}::text[], ${column((b) => b.readiness)}::text[],
        ${column((b) => b.load)}::real[], ${column((b) => b.inboxDepth)}::integer[],
        ${column((b) => b.usage && JSON.stringify(b.usage))}::jsonb[]) as t (id, readiness, load, inbox_depth, usage)
    ), locked as (
      select a.id from agents a where a.id = any(${entries.map(([id]) => id)}::text[]) and a.left_at is null
      order by a.id for no key update
    ), renewed as (
      update agents a set lease_expires_at = clock_timestamp() + make_interval(secs => ${leaseSeconds}),
        readiness = coalesce(beat.readiness, a.readiness), load = coalesce(beat.load, a.load),
        reports_load = a.reports_load or beat.load is not null,
        inbox_depth = coalesce(beat.inbox_depth, a.inbox_depth), usage = coalesce(beat.usage, a.usage)
      from locked, beat where a.id = locked.id and beat.id = locked.id
      returning a.id, a.lease_expires_at, a.cluster_count
    )
    select r.id, r.lease_expires_at,
      case when r.cluster_count = 0 then '{}'::jsonb else coalesce((
        select jsonb_object_agg(c.id, c.epoch) from memberships m join clusters c on c.id = m.cluster_id
        where m.agent_id = r.id and m.state = 'active'), '{}'::jsonb) end as epoch
    from renewed r`;
  return new Map(rows.map(({ id, ...answer }) => [id, answer]));
}

/** Records that messages were delivered to these agents, which `reachability` reports. */
export async function recordDelivery(db: ClustersDb, agentIds: readonly string[]): Promise<void> {
  // Not worth waiting for: a row that is being changed is left for the next delivery.
  await sql`
    update agents set last_delivery_at = now() where id in (
      select id from agents where id = any(${agentIds}::text[])
        and (last_delivery_at is null or last_delivery_at < now() - interval '1 second')
      order by id for no key update skip locked)`.execute(db);
}
