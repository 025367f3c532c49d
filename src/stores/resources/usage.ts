import { sql } from 'kysely';
import type { ManagerConfig } from '../../config/index.js';
import { queryRows } from '../expressions.js';
import { requireAmount } from './amounts.js';
import type { ResourcesDb, Row } from './schema.js';

/** An amount in use. */
export interface UsageSample {
  readonly agentId: string;
  readonly resource: string;
  readonly amount: number;
  /** When it was read; now if not given. */
  readonly atMs?: number;
}

export interface UsageReading extends Pick<
  Row<'usageLatest'>,
  'agentId' | 'resource' | 'value' | 'previous' | 'amount' | 'samples'
> {
  readonly atMs: number;
}

export interface UsageRules {
  readonly halfLifeSeconds: number;
  /** One sample of each slot counts: the latest. */
  readonly slotSeconds: number;
  /** A sample older than the newest by more than this means that a clock was set back: the average starts again. */
  readonly staleAfterSeconds: number;
}

/** A reading that is this many sample periods old no longer counts. */
const staleAfterPeriods = 3;

/** How samples are smoothed and kept, whether they come by heartbeat or by report. */
export const usageRulesOf = ({ scaling }: Pick<ManagerConfig, 'scaling'>): UsageRules => ({
  halfLifeSeconds: scaling.halfLifeSeconds,
  slotSeconds: scaling.samplePeriodSeconds,
  staleAfterSeconds: staleAfterPeriods * scaling.samplePeriodSeconds,
});

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
  queryRows<UsageReading>(db)`
    select agent_id, resource, value, previous, amount, last_at as at_ms, samples from usage_latest
    where agent_id = any(${[...agentIds]}::text[]) order by agent_id, resource`;
