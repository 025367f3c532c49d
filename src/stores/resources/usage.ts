import { sql } from 'kysely';
import { deletePast, secondsAgo, type Retention } from '../expressions.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb } from './schema.js';

/** An amount in use. */
export interface UsageSample {
  readonly agentId: string;
  readonly resource: string;
  readonly amount: number;
  /** When it was read; now if not given. */
  readonly atMs?: number;
}

export interface UsageReading {
  readonly agentId: string;
  readonly resource: string;
  /** Smoothed amount, and the one of the slot before; null when there was none. */
  readonly value: number;
  readonly previous: number | null;
  /** As it was last reported. */
  readonly amount: number;
  readonly atMs: number;
  readonly samples: number;
}

export interface UsageRules {
  readonly halfLifeSeconds: number;
  /** One sample of each slot counts: the latest. */
  readonly slotSeconds: number;
  /** A sample older than the newest by more than this means that a clock was set back: the average starts again. */
  readonly staleAfterSeconds: number;
}

const defaultRules: UsageRules = { halfLifeSeconds: 60, slotSeconds: 15, staleAfterSeconds: 45 };

/** The readings of an agent and resource within this time share one row. */
const rollupSeconds = 300;

/**
 * Adds samples to the averages and the roll-ups in one statement. A sample that comes Δ seconds after the one before has
 * the weight 1 - 2^(-Δ / half-life). Of several samples of one agent and resource in a call the latest counts; one that is
 * not newer than the latest known is ignored, so a report that is sent again counts once.
 * @throws ManagerError `invalid_request` for an amount that is not 0 to 1e12, or a time that is none.
 */
export async function recordUsage(
  db: ResourcesDb,
  samples: readonly UsageSample[],
  rules: UsageRules = defaultRules,
): Promise<void> {
  for (const [index, { amount, atMs = 0 }] of samples.entries()) {
    requireAmount(`samples[${index}].amount`, amount);
    requireAmount(`samples[${index}].atMs / 1000`, atMs / 1000);
  }
  const nowMs = Date.now();
  const slotMs = rules.slotSeconds * 1000;
  const sameSlot = sql`u.last_at / ${slotMs}::bigint = excluded.last_at / ${slotMs}::bigint`;
  const anew = sql`excluded.last_at < u.last_at - ${rules.staleAfterSeconds * 1000}::bigint`;
  const folded = (value: ReturnType<typeof sql>, at: ReturnType<typeof sql>) => {
    const kept = sql`power(2::double precision, -(excluded.last_at - ${at})::double precision / 1000 / ${rules.halfLifeSeconds}::double precision)`;
    return sql`${value} * ${kept} + excluded.amount * (1 - ${kept})`;
  };
  await sql`
    with samples as (
      select distinct on (agent_id, resource) agent_id, resource, amount, at
      from unnest(${samples.map(({ agentId }) => agentId)}::text[], ${samples.map(({ resource }) => resource)}::text[],
        ${samples.map(({ amount }) => amount)}::double precision[],
        ${samples.map(({ atMs }) => Math.round(atMs ?? nowMs))}::bigint[]) as s (agent_id, resource, amount, at)
      order by agent_id, resource, at desc
    ), latest as (
      insert into usage_latest as u (agent_id, resource, value, amount, last_at)
      select agent_id, resource, amount, amount, at from samples order by agent_id, resource
      on conflict (agent_id, resource) do update set
        value = case
          when ${anew} then excluded.amount
          when not ${sameSlot} then ${folded(sql`u.value`, sql`u.last_at`)}
          when u.previous is null then excluded.amount
          else ${folded(sql`u.previous`, sql`u.previous_at`)} end,
        previous = case when ${anew} then null when ${sameSlot} then u.previous else u.value end,
        previous_at = case when ${anew} then null when ${sameSlot} then u.previous_at else u.last_at end,
        samples = case when ${anew} then 1 when ${sameSlot} then u.samples else u.samples + 1 end,
        amount = excluded.amount, last_at = excluded.last_at
      where excluded.last_at > u.last_at or ${anew}
      returning agent_id, resource, amount, last_at
    )
    insert into usage_rollups as r (agent_id, resource, slot, sum, count, max)
    select agent_id, resource, to_timestamp(floor(last_at / 1000.0 / ${rollupSeconds}) * ${rollupSeconds}), amount, 1, amount
    from latest order by agent_id, resource
    on conflict (agent_id, resource, slot) do update
      set sum = r.sum + excluded.sum, count = r.count + 1, max = greatest(r.max, excluded.max)`.execute(db);
}

/** The newest readings of agents; an agent that reported nothing has none. */
export const usageOf = (db: ResourcesDb, agentIds: readonly string[]): Promise<UsageReading[]> =>
  db
    .selectFrom('usageLatest')
    .select(['agentId', 'resource', 'value', 'previous', 'amount', 'lastAt as atMs', 'samples'])
    .where(sql<boolean>`agent_id = any(${[...agentIds]}::text[])`)
    .orderBy('agentId')
    .orderBy('resource')
    .execute();

export interface UsageRollup {
  readonly agentId: string;
  readonly resource: string;
  readonly from: Date;
  /** Of the amounts that were reported. */
  readonly mean: number;
  readonly max: number;
  readonly count: number;
}

/** What an agent used in the last `seconds`, in steps of five minutes, oldest first. */
export const usageHistory = (
  db: ResourcesDb,
  agentId: string,
  { seconds, limit }: { readonly seconds: number; readonly limit: number },
): Promise<UsageRollup[]> =>
  db
    .selectFrom('usageRollups')
    .select(['agentId', 'resource', 'slot as from', 'max', 'count', sql<number>`sum / count`.as('mean')])
    .where('agentId', '=', agentId)
    .where('slot', '>', secondsAgo(seconds))
    .orderBy('slot')
    .orderBy('resource')
    .limit(limit)
    .execute();

/** @returns rows deleted; `limit` or more means that there may be more. */
export async function pruneUsage(db: ResourcesDb, retention: Retention): Promise<number> {
  const { keepSeconds, limit } = retention;
  const { numAffectedRows } = await sql`
    delete from usage_latest where ctid = any(array(select ctid from usage_latest
      where last_at < (extract(epoch from now()) - ${keepSeconds}) * 1000 limit ${limit}))`.execute(db);
  return (await deletePast(db, 'usageRollups', 'slot', retention)) + Number(numAffectedRows ?? 0n);
}
