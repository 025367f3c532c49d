import type { Command } from '@commander-js/extra-typings';
import { address, type MessageTrace, type ReceiptView } from '../../contracts/messages.js';
import { ago, counted, elapsed } from '../format.js';
import { printing } from '../print.js';
import { facts, table } from '../table.js';

const messages = (command: Command): unknown =>
  command
    .command('show <id>')
    .description('show the trace of a message, hop by hop')
    .action(
      printing(async (api, id) => {
        const { message: trace } = await api().getMessage({ params: { id } });
        const hops = trace.hops.map((hop) => ({ ...hop, afterMs: Date.parse(hop.at) - Date.parse(trace.time) }));
        return { document: { message: { ...trace, hops } }, lines: traceLines(trace) };
      }),
    );

export function traceLines(trace: MessageTrace): string[] {
  const { time, clusterId, epoch, hops, deliveries } = trace;
  return [
    ...facts({
      message: trace.id,
      type: trace.type,
      from: trace.source,
      to: addressText(trace.to),
      sent: `${time} (${ago(time)})`,
      expires: trace.expiresAt,
      cluster: clusterId && `${clusterId}${epoch === null ? '' : `, epoch ${epoch}`}`,
      recipients: trace.matched,
      operation: trace.operationId,
      'Temporal UI': trace.temporalUrl,
    }),
    '',
    ...table(hops, {
      AFTER: ({ at }) => elapsed(Date.parse(at) - Date.parse(time)),
      EVENT: ({ what }) => what.replaceAll('_', ' '),
      RECIPIENT: ({ recipient }) => recipient,
      DETAIL: ({ detail }) => detail,
    }),
    ...(deliveries.length === 0 ? [] : ['']),
    ...table(deliveries, {
      RECIPIENT: ({ recipient }) => recipient,
      STATE: ({ state }) => state.replaceAll('_', ' '),
      ATTEMPTS: ({ attempts }) => attempts,
      'MATCHED AS': ({ via }) => via,
      DELIVERY: ({ id }) => id,
    }),
  ];
}

/** `agent ada`, `one agent with capability translate`, `topic news`. Empty for messages of the manager itself. */
export function addressText(to: unknown): string {
  const parsed = address.safeParse(to);
  if (!parsed.success) return to === null || to === undefined ? '' : JSON.stringify(to);
  const known = parsed.data;
  if ('agent' in known) return `agent ${known.agent}`;
  if ('topic' in known) return `topic ${known.topic}`;
  if ('role' in known) return `one member with role ${known.role} in cluster ${known.cluster}`;
  if ('capability' in known) {
    return `one agent with capability ${known.capability}${known.cluster === undefined ? '' : ` in cluster ${known.cluster}`}`;
  }
  if ('cluster' in known) return `all members of cluster ${known.cluster}`;
  if ('clusters' in known) return `all members of clusters ${known.clusters.join(', ')}`;
  return 'all members of all clusters';
}

const receipts = (command: Command): unknown =>
  command
    .command('show <id>')
    .description("count the acks of a message's recipients")
    .action(
      printing(async (api, id) => {
        const document = await api().getReceipt({ params: { id } });
        return { document, lines: receiptLines(document.receipt) };
      }),
    );

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

export const commands = { messages, receipts };
