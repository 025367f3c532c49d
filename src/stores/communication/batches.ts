import { sql } from 'kysely';
import type { CommunicationDb } from './schema.js';

/** Keeps messages that are too large for a workflow's argument. The same id again is the same batch. @returns whether it is what is stored. */
export async function storeBatch(
  db: CommunicationDb,
  { id, owner, parts }: { readonly id: string; readonly owner: string; readonly parts: unknown },
): Promise<boolean> {
  const { rows } = await sql<{ same: boolean }>`
    insert into batches as b (id, owner, parts) values (${id}, ${owner}, ${JSON.stringify(parts)}::jsonb)
    on conflict (id) do update set id = b.id
    returning b.owner = ${owner} and b.parts = ${JSON.stringify(parts)}::jsonb as same`.execute(db);
  return rows[0]?.same ?? false;
}

export async function findBatch(
  db: CommunicationDb,
  id: string,
): Promise<{ readonly owner: string; readonly parts: unknown } | undefined> {
  return db.selectFrom('batches').select(['owner', 'parts']).where('id', '=', id).executeTakeFirst();
}
