import { sql } from 'kysely';
import type { ResourcesDb } from './schema.js';

type Direction = 'out' | 'in';

/** What earlier assessments and changes of a cluster say to the next one. */
export interface ScalingMemory {
  readonly recommendations: readonly { readonly atMs: number; readonly desired: number }[];
  /** Since when recommendations have no gap; null when the newest is itself too old, or there is none. */
  readonly watchedSinceMs: number | null;
  readonly changes: readonly ScalingChange[];
  readonly blocks: readonly ScalingBlock[];
  /** The size that was asked for within the window, could not be had whole, and is still waited for; null otherwise. */
  readonly wanted: number | null;
}

export interface ScalingChange {
  readonly atMs: number;
  readonly direction: Direction;
  /** Members that count against the flap budget. */
  readonly members: number;
  readonly cause: 'scaling' | 'asked' | 'rollback' | 'rebalance' | 'replacement';
}

export interface ScalingBlock {
  readonly direction: Direction;
  readonly desired: number;
  readonly untilMs: number;
  readonly reason: string;
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
 * What is remembered of clusters, in one statement; a cluster nothing is known of has an empty memory. Recommendations and
 * changes from the future (a clock was set back) are read, too: what they count for is for the decision to say.
 */
export async function scalingMemories(
  db: ResourcesDb,
  clusterIds: readonly string[],
  { nowMs, windowSeconds, changesSeconds, gapSeconds }: MemoryRules,
): Promise<ReadonlyMap<string, ScalingMemory>> {
  const now = new Date(nowMs);
  const { rows } = await sql<ScalingMemory & { clusterId: string }>`
    select c.id as "clusterId",
      (select coalesce(json_agg(json_build_object('atMs', ${ms('at')}, 'desired', desired) order by at), '[]')
        from recommendations where cluster_id = c.id and at > ${now}::timestamptz - make_interval(secs => ${windowSeconds})
      ) as recommendations,
      (select case when max(at) >= ${now}::timestamptz - make_interval(secs => ${gapSeconds})
          then (extract(epoch from max(at) filter (where starts)) * 1000)::bigint end
        from (select at, coalesce(at - lag(at) over (order by at) > make_interval(secs => ${gapSeconds}), true) as starts
          from recommendations where cluster_id = c.id) r
      ) as "watchedSinceMs",
      (select coalesce(json_agg(json_build_object('atMs', ${ms('at')}, 'direction', direction, 'members', charged,
          'cause', cause) order by at), '[]')
        from scaling_changes where cluster_id = c.id
          and at > ${now}::timestamptz - make_interval(secs => ${changesSeconds})
      ) as changes,
      (select coalesce(json_agg(json_build_object('direction', direction, 'desired', desired, 'untilMs', ${ms('until')},
          'reason', reason) order by until), '[]')
        from blocks where cluster_id = c.id and until > ${now}) as blocks,
      (select (decision ->> 'desired')::integer
        from (select * from (select * from decisions where cluster_id = c.id order by no desc limit 20) lately
          where outcome <> 'unchanged' or decision ->> 'because' = 'asked' order by no desc limit 1) d
        where (outcome_detail ->> 'waitedFor')::integer > 0
          and at > ${now}::timestamptz - make_interval(secs => ${windowSeconds})) as wanted
    from unnest(${[...clusterIds]}::text[]) as c (id)`.execute(db);
  return new Map(rows.map(({ clusterId, ...memory }) => [clusterId, memory]));
}

/** Records what assessments recommend, for many clusters in one statement; one of the same moment is there already. */
export async function recordRecommendations(
  db: ResourcesDb,
  made: readonly { readonly clusterId: string; readonly atMs: number; readonly desired: number }[],
): Promise<void> {
  await sql`
    insert into recommendations (cluster_id, at, desired)
    select * from unnest(${made.map(({ clusterId }) => clusterId)}::text[],
      ${made.map(({ atMs }) => new Date(atMs))}::timestamptz[], ${made.map(({ desired }) => desired)}::integer[])
    on conflict do nothing`.execute(db);
}

/** Records members that joined or left, once for each id. `charged` of the `members` count against the flap budget. */
export async function recordChange(
  db: ResourcesDb,
  change: Omit<ScalingChange, 'members'> & {
    readonly id: string;
    readonly clusterId: string;
    readonly members: number;
    readonly charged: number;
    readonly operationId: string | null;
  },
): Promise<void> {
  await sql`
    insert into scaling_changes (id, cluster_id, at, direction, members, charged, cause, operation_id)
    values (${change.id}, ${change.clusterId}, ${new Date(change.atMs)}, ${change.direction}, ${change.members},
      ${change.charged}, ${change.cause}, ${change.operationId})
    on conflict (id) do nothing`.execute(db);
}

/** Blocks a recommendation that had to be rolled back. A block is lengthened, never shortened. */
export async function blockRecommendation(
  db: ResourcesDb,
  block: ScalingBlock & { readonly clusterId: string },
): Promise<void> {
  await sql`
    insert into blocks as b (cluster_id, direction, desired, until, reason)
    values (${block.clusterId}, ${block.direction}, ${block.desired}, ${new Date(block.untilMs)}, ${block.reason})
    on conflict (cluster_id, direction, desired) do update set until = excluded.until, reason = excluded.reason
    where b.until < excluded.until`.execute(db);
}

/**
 * Deletes what no decision looks back on any more, a bounded chunk of each table.
 * @param rules.keepSeconds more than the window, the flap budget and a reversal together.
 * @returns rows deleted; `limit` or more means that there may be more.
 */
export async function pruneScalingMemory(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const chunk = async (table: string, column: string): Promise<number> => {
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(select ctid from ${sql.table(table)}
        where ${sql.ref(column)} < now() - make_interval(secs => ${keepSeconds}) limit ${limit}))`.execute(db);
    return Number(numAffectedRows ?? 0n);
  };
  return (
    (await chunk('recommendations', 'at')) + (await chunk('scaling_changes', 'at')) + (await chunk('blocks', 'until'))
  );
}
