import { sql } from 'kysely';
import { queryRows } from '../expressions.js';
import type { ResourcesDb, Row } from './schema.js';

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
