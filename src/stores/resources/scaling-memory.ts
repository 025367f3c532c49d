import { sql } from 'kysely';
import { queryRows } from '../expressions.js';
import type { ResourcesDb, Row } from './schema.js';

/** Members that joined or left a cluster. */
export type ScalingChange = Pick<Row<'scalingChanges'>, 'direction' | 'members' | 'cause'> & { readonly atMs: number };

export type ScalingBlock = Omit<Row<'scalingBlocks'>, 'clusterId' | 'until'> & { readonly untilMs: number };

/** What an assessment of a cluster takes into account of earlier ones. */
export interface ScalingMemory {
  readonly recommendations: readonly { readonly atMs: number; readonly desired: number }[];
  /** Since when recommendations have no gap; null when the newest is too old, or there is none. */
  readonly watchedSinceMs: number | null;
  /** Their `members` are those that count against the flap budget. */
  readonly changes: readonly ScalingChange[];
  readonly blocks: readonly ScalingBlock[];
  /** The size of the last decision in the window that was not fully met, which is retried; null otherwise. */
  readonly wanted: number | null;
}

export interface MemoryRules {
  readonly nowMs: number;
  readonly windowSeconds: number;
  /** How far back changes count: the flap budget's time and that of a reversal. */
  readonly changesSeconds: number;
  /** Recommendations further apart than this have a gap between them. */
  readonly gapSeconds: number;
}

const ms = (column: string) => sql`(extract(epoch from ${sql.ref(column)}) * 1000)::bigint`;

/**
 * The memories of clusters, in one statement; that of an unknown cluster is empty. Recommendations and changes in the
 * future (a clock was set back) are included: the decision judges them.
 */
export async function scalingMemories(
  db: ResourcesDb,
  clusterIds: readonly string[],
  { nowMs, windowSeconds, changesSeconds, gapSeconds }: MemoryRules,
): Promise<ReadonlyMap<string, ScalingMemory>> {
  const now = new Date(nowMs);
  const rows = await queryRows<ScalingMemory & { clusterId: string }>(db)`
    select c.id as cluster_id,
      (select coalesce(json_agg(json_build_object('atMs', ${ms('at')}, 'desired', desired) order by at), '[]')
        from recommendations where cluster_id = c.id and at > ${now}::timestamptz - make_interval(secs => ${windowSeconds})
      ) as recommendations,
      (select case when max(at) >= ${now}::timestamptz - make_interval(secs => ${gapSeconds})
          then (extract(epoch from max(at) filter (where starts)) * 1000)::bigint end
        from (select at, coalesce(at - lag(at) over (order by at) > make_interval(secs => ${gapSeconds}), true) as starts
          from recommendations where cluster_id = c.id) r
      ) as watched_since_ms,
      (select coalesce(json_agg(json_build_object('atMs', ${ms('at')}, 'direction', direction, 'members', charged,
          'cause', cause) order by at), '[]')
        from scaling_changes where cluster_id = c.id
          and at > ${now}::timestamptz - make_interval(secs => ${changesSeconds})
      ) as changes,
      (select coalesce(json_agg(json_build_object('direction', direction, 'desired', desired, 'untilMs', ${ms('until')},
          'reason', reason) order by until), '[]')
        from scaling_blocks where cluster_id = c.id and until > ${now}) as blocks,
      (select (decision ->> 'desired')::integer
        from (select * from (select * from decisions where cluster_id = c.id order by no desc limit 20) lately
          where outcome <> 'unchanged' or decision ->> 'because' = 'asked' order by no desc limit 1) d
        where (outcome_detail ->> 'waitedFor')::integer > 0
          and at > ${now}::timestamptz - make_interval(secs => ${windowSeconds})) as wanted
    from unnest(${[...clusterIds]}::text[]) as c (id)`;
  return new Map(rows.map(({ clusterId, ...memory }) => [clusterId, memory]));
}

/** Saves recommendations of many clusters in one statement; a second one of the same moment is ignored. */
export async function recordRecommendations(
  db: ResourcesDb,
  recommendations: readonly { readonly clusterId: string; readonly atMs: number; readonly desired: number }[],
): Promise<void> {
  await sql`
    insert into recommendations (cluster_id, at, desired)
    select * from unnest(${recommendations.map(({ clusterId }) => clusterId)}::text[],
      ${recommendations.map(({ atMs }) => new Date(atMs))}::timestamptz[],
      ${recommendations.map(({ desired }) => desired)}::integer[])
    on conflict do nothing`.execute(db);
}

/** Records members that joined or left, once for each id. `charged` of the `members` count against the flap budget. */
export async function recordChange(
  db: ResourcesDb,
  { atMs, ...change }: Omit<Row<'scalingChanges'>, 'at'> & { readonly atMs: number },
): Promise<void> {
  await db
    .insertInto('scalingChanges')
    .values({ ...change, at: new Date(atMs) })
    .onConflict((conflict) => conflict.column('id').doNothing())
    .execute();
}

/** Blocks a recommendation that had to be rolled back. A block is lengthened, never shortened. */
export async function blockRecommendation(
  db: ResourcesDb,
  { clusterId, direction, desired, untilMs, reason }: ScalingBlock & { readonly clusterId: string },
): Promise<void> {
  await sql`
    insert into scaling_blocks as b (cluster_id, direction, desired, until, reason)
    values (${clusterId}, ${direction}, ${desired}, ${new Date(untilMs)}, ${reason})
    on conflict (cluster_id, direction, desired) do update set until = excluded.until, reason = excluded.reason
    where b.until < excluded.until`.execute(db);
}

/** A stability score with what it is made of. */
export interface ScoreRow extends Omit<Row<'stabilityScores'>, 'at'> {
  readonly atMs: number;
}

/** Saves scores of many clusters in one statement; a second one of the same moment is ignored. */
export async function saveScores(db: ResourcesDb, scores: readonly ScoreRow[]): Promise<void> {
  const rows = scores.map((one) => ({ ...one, at: new Date(one.atMs).toISOString() }));
  await sql`
    insert into stability_scores (cluster_id, at, score, parts, caps, assumed, unknown)
    select s."clusterId", s.at, s.score, s.parts, s.caps, s.assumed, s.unknown
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as s ("clusterId" text, at timestamptz,
      score double precision, parts jsonb, caps text[], assumed text[], unknown text)
    on conflict do nothing`.execute(db);
}

/** The last `count` scores of a cluster, oldest first. */
export async function lastScores(db: ResourcesDb, clusterId: string, count: number): Promise<ScoreRow[]> {
  const rows = await queryRows<Row<'stabilityScores'>>(db)`
    select * from stability_scores where cluster_id = ${clusterId} order by at desc limit ${count}`;
  return rows.map(({ at, ...score }) => ({ ...score, atMs: at.getTime() })).reverse();
}
