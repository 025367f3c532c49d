import type { ReceiptView, Requirement } from '../../contracts/messages.js';

export type ReceiptCounts = Pick<ReceiptView, 'matched' | 'delivered' | 'acked' | 'dead' | 'left' | 'pending'>;

/** Acks that a requirement asks for. Members that left before they acked are not failures: they are not asked for. */
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
 * Whether a broadcast reached whom it had to.
 * @param isOver the deadline has passed.
 * @returns `unmet` also before the deadline, once so many are dead that the requirement cannot be met any more.
 */
export function evaluateReceipt(require: Requirement, counts: ReceiptCounts, isOver: boolean): ReceiptView['state'] {
  if (require === 'none') return 'met';
  const needed = acksNeeded(require, counts);
  if (counts.acked >= needed) return 'met';
  return isOver || counts.acked + counts.pending < needed ? 'unmet' : 'open';
}
