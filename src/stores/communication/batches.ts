import { queryRow } from '../expressions.js';
import type { CommunicationDb } from './schema.js';

export interface BatchParts {
  readonly messages?: readonly unknown[];
  readonly broadcasts?: readonly unknown[];
}

/**
 * Stores messages that are too large for a workflow's argument. The same batch again is kept from then on.
 * @returns false when another batch has this id.
 */
export async function storeBatch(
  db: CommunicationDb,
  { id, owner, parts }: { readonly id: string; readonly owner: string; readonly parts: BatchParts },
): Promise<boolean> {
  const messages = JSON.stringify(parts.messages ?? []);
  const broadcasts = JSON.stringify(parts.broadcasts ?? []);
  const stored = await queryRow<{ isSame: boolean }>(db)`
    insert into batches as b (id, owner, messages, broadcasts)
    values (${id}, ${owner}, ${messages}::json, ${broadcasts}::json)
    on conflict (id) do update set created_at = now()
    returning b.owner = ${owner} and b.messages::text = ${messages} and b.broadcasts::text = ${broadcasts} as is_same`;
  return stored?.isSame ?? false;
}

/** Reads one part of a batch; the other may be large. */
export const findBatchPart = (db: CommunicationDb, id: string, part: keyof BatchParts) =>
  db
    .selectFrom('batches')
    .select(['owner', `${part} as items`])
    .where('id', '=', id)
    .executeTakeFirst();
