import { inTransaction } from '../database.js';
import { json, queryRow } from '../expressions.js';
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
    const isFirst = await queryRow(tx)`
      insert into operation_changes (operation_id, place) values (${operationId}, ${place})
      on conflict do nothing returning place`;
    if (!isFirst) {
      const saved = await queryRow<{ outcome: Outcome }>(tx)`
        select outcome from operation_changes where operation_id = ${operationId} and place = ${place}`;
      return (saved as { outcome: Outcome }).outcome;
    }
    const outcome = await change(tx);
    await queryRow(tx)`
      update operation_changes set outcome = ${json(outcome)} where operation_id = ${operationId} and place = ${place}`;
    return outcome;
  });
}
