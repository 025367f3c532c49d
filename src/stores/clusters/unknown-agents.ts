import { sql } from 'kysely';
import type { ClustersDb } from './schema.js';

/** Of these ids, those that no agent has. */
export async function unknownAgents(db: ClustersDb, ids: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select i.id from unnest(${[...ids]}::text[]) as i (id)
    where not exists (select 1 from agents a where a.id = i.id)`.execute(db);
  return rows.map(({ id }) => id);
}
