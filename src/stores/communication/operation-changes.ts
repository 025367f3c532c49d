import { sql } from 'kysely';
import { inTransaction } from '../database.js';
import type { CommunicationDb } from './schema.js';

/**
 * Applies one change of an operation at most once, in a transaction with a record of its outcome. Another attempt waits for
 * the first and returns its outcome, however late it comes; deletions past the retention of messages end that.
 * @param change runs its statements on the transaction that it receives.
 */
export async function changeOnce<Outcome>(
  db: CommunicationDb,
  { operationId, place }: { readonly operationId: string; readonly place: number },
  change: (tx: CommunicationDb) => Promise<Outcome>,
): Promise<Outcome> {
  return inTransaction(db, async (tx) => {
    const { rows } = await sql`
      insert into operation_changes (operation_id, place) values (${operationId}, ${place})
      on conflict do nothing returning place`.execute(tx);
    const own = tx.selectFrom('operationChanges').select('outcome').where('operationId', '=', operationId);
    if (rows.length === 0) {
      const saved = await own.where('place', '=', place).executeTakeFirstOrThrow();
      return saved.outcome as Outcome;
    }
    const outcome = await change(tx);
    await sql`
      update operation_changes set outcome = ${JSON.stringify(outcome)}::jsonb
      where operation_id = ${operationId} and place = ${place}`.execute(tx);
    return outcome;
  });
}
