import { sql } from 'kysely';
import type { ResourcesDb } from './schema.js';

/** A stability score with what it is made of. */
export interface ScoreRow {
  readonly clusterId: string;
  readonly atMs: number;
  /** 0 to 1; null when it is not known, and then `unknown` says why. */
  readonly score: number | null;
  readonly parts: Readonly<Record<string, number | null>>;
  readonly caps: readonly string[];
  readonly assumed: readonly string[];
  readonly unknown: string | null;
}

/** Saves scores of many clusters in one statement; one of the same moment is there already. */
export async function saveScores(db: ResourcesDb, scores: readonly ScoreRow[]): Promise<void> {
  const rows = scores.map((one) => ({ ...one, at: new Date(one.atMs).toISOString() }));
  await sql`
    insert into scores (cluster_id, at, score, parts, caps, assumed, unknown)
    select s."clusterId", s.at, s.score, s.parts, s.caps, s.assumed, s.unknown
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as s ("clusterId" text, at timestamptz,
      score double precision, parts jsonb, caps text[], assumed text[], unknown text)
    on conflict do nothing`.execute(db);
}

/** The last so many scores of a cluster, oldest first. */
export async function lastScores(db: ResourcesDb, clusterId: string, count: number): Promise<ScoreRow[]> {
  const { rows } = await sql<ScoreRow>`
    select cluster_id as "clusterId", (extract(epoch from at) * 1000)::bigint as "atMs", score, parts, caps, assumed, unknown
    from scores where cluster_id = ${clusterId} order by at desc limit ${count}`.execute(db);
  return rows.reverse();
}

/** Deletes old scores, a chunk at a time. @returns how many. */
export async function pruneScores(
  db: ResourcesDb,
  { keepSeconds, limit }: { readonly keepSeconds: number; readonly limit: number },
): Promise<number> {
  const { numAffectedRows } = await sql`
    delete from scores where ctid = any(array(select ctid from scores
      where at < now() - make_interval(secs => ${keepSeconds}) limit ${limit}))`.execute(db);
  return Number(numAffectedRows ?? 0n);
}
