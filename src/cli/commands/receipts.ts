import type { Command } from 'commander';
import type { ReceiptView } from '../../contracts/messages.js';
import { apiAction } from '../api-action.js';
import { counted } from '../format.js';
import { facts } from '../table.js';

export function define(command: Command): void {
  command.command('show <id>').description("count the acks of a message's recipients").action(show);
}

const show = apiAction(async (api, id: string) => {
  const receipt = await api.receipt(id);
  return { document: { receipt }, lines: receiptLines(receipt) };
});

const requirementText: Readonly<Record<ReceiptView['require'], string>> = {
  none: 'no ack is required',
  any: 'one ack is required',
  quorum: 'more than half are required',
  all: 'all are required',
};

export function receiptLines(receipt: ReceiptView): string[] {
  const { state, require, clusterId, epoch, matched, delivered, acked, dead, left, pending } = receipt;
  const notAcked = [
    pending > 0 && `${pending} pending`,
    left > 0 && `${left} left`,
    dead > 0 && counted(dead, 'dead letter'),
  ];
  return facts({
    receipt: `${state}: ${acked} of ${matched} acked, ${requirementText[require]}`,
    message: receipt.messageId,
    cluster: clusterId && `${clusterId}${epoch === null ? '' : `, members at epoch ${epoch}`}`,
    delivered: matched === 0 ? 'to no recipient: the message is a dead letter' : `to ${delivered} of ${matched}`,
    'not acked': notAcked.filter(Boolean).join(', '),
    deadline: receipt.deadlineAt,
  });
}
