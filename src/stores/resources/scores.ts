import { sql } from 'kysely';
import { deletePast, type Retention } from '../expressions.js';
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
  const rows = await db
    .selectFrom('stabilityScores')
    .select(['clusterId', 'score', 'parts', 'caps', 'assumed', 'unknown', 'at'])
    .where('clusterId', '=', clusterId)
    .orderBy('at', 'desc')
    .limit(count)
    .execute();
  return rows.map(({ at, ...score }) => ({ ...score, atMs: at.getTime() })).reverse();
}

export const pruneScores = (db: ResourcesDb, retention: Retention): Promise<number> =>
  deletePast(db, 'stabilityScores', 'at', retention);
