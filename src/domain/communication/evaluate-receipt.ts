import type { ReceiptCounts, ReceiptView, Requirement } from '../../contracts/messages.js';

/** The number of acks a requirement needs. Members that left before they acked do not count as recipients. */
export function acksNeeded(require: Requirement, { matched, left }: ReceiptCounts): number {
  const asked = matched - left;
  switch (require) {
    case 'none':
      return 0;
    case 'any':
      return 1;
    case 'quorum':
      return Math.floor(asked / 2) + 1;
    case 'all':
      return Math.max(1, asked);
  }
}

/**
 * Evaluates a broadcast's requirement against its delivery counts.
 * @param isOver whether the deadline has passed.
 * @returns `unmet` before the deadline, too, as soon as too many deliveries are dead for the requirement to be met.
 */
export function evaluateReceipt(require: Requirement, counts: ReceiptCounts, isOver: boolean): ReceiptView['state'] {
  if (require === 'none') return 'met';
  const needed = acksNeeded(require, counts);
  if (counts.acked >= needed) return 'met';
  return isOver || counts.acked + counts.pending < needed ? 'unmet' : 'open';
}
