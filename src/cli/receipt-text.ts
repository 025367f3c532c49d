import type { ReceiptView } from '../contracts/messages.js';
import { facts } from './output.js';

/** A receipt as commands print it. */
export const receiptDocument = (receipt: ReceiptView) => ({
  messageId: receipt.messageId,
  state: receipt.state,
  require: receipt.require,
  clusterId: receipt.clusterId,
  epoch: receipt.epoch,
  matched: receipt.matched,
  delivered: receipt.delivered,
  acked: receipt.acked,
  dead: receipt.dead,
  left: receipt.left,
  pending: receipt.pending,
  deadlineAt: receipt.deadlineAt,
});

const required: Readonly<Record<ReceiptView['require'], string>> = {
  none: 'no ack is required',
  any: 'one ack is required',
  quorum: 'acks of more than half are required',
  all: "everybody's ack is required",
};

export function receiptLines(receipt: ReceiptView): string[] {
  const { messageId, state, require, clusterId, epoch, matched, delivered, acked, dead, left, pending } = receipt;
  return facts([
    ['receipt', `${state}: ${acked} of ${matched} acked, ${required[require]}`],
    ['message', messageId],
    ['cluster', clusterId && `${clusterId}${epoch === null ? '' : `, members at epoch ${epoch}`}`],
    [
      'handed over',
      matched === 0 ? 'to nobody: there was nobody, it is a dead letter' : `to ${delivered} of ${matched}`,
    ],
    [
      'not acked',
      [told(pending, 'pending'), told(left, 'left before'), told(dead, 'dead letters')].filter(Boolean).join(', '),
    ],
    ['deadline', receipt.deadlineAt],
  ]);
}

const told = (amount: number, what: string): string => (amount === 0 ? '' : `${amount} ${what}`);
