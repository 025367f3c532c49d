import { isoDates } from '../contracts/view.js';
import type { ReceiptView } from '../contracts/messages.js';
import { evaluateReceipt } from '../domain/communication/evaluate-receipt.js';
import { countReceipts, settleReceipt, type CommunicationDb, type ReceiptRow } from '../stores/communication/index.js';

/**
 * The receipts of messages. One whose requirement is met, or can no longer be met, is settled; it then keeps the counts
 * of that moment.
 * @returns the receipts that exist, oldest first.
 */
export async function receiptsOf(
  db: CommunicationDb,
  which: readonly { readonly id: string; readonly source?: string }[],
): Promise<readonly { readonly source: string; readonly receipt: ReceiptView; readonly secondsLeft: number }[]> {
  const rows = await countReceipts(db, which);
  return Promise.all(
    rows.map(async (row) => {
      const state = row.state ?? 'met';
      const secondsLeft = row.secondsLeft ?? 0;
      const now =
        state === 'open' && row.require !== null ? evaluateReceipt(row.require, row, secondsLeft <= 0) : state;
      if (state === 'open' && now !== 'open') await settleReceipt(db, row, now);
      return { source: row.source, receipt: viewOf(row, now), secondsLeft };
    }),
  );
}

/** Every message has a receipt; without a requirement of its own it has the requirement `none`. */
function viewOf(row: ReceiptRow, state: ReceiptView['state']): ReceiptView {
  const { messageNo: _no, source: _source, secondsLeft: _seconds, settled, ...view } = row;
  return { ...isoDates(view), ...settled, require: row.require ?? 'none', state };
}
