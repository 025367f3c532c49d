import type { Command } from 'commander';
import type { MessageTrace } from '../../contracts/messages.js';
import { apiAction } from '../api-action.js';
import { ago, elapsed } from '../format.js';
import { addressText } from '../message-output.js';
import { facts, table } from '../table.js';

export function define(command: Command): void {
  command.command('show <id>').description('show the trace of a message, hop by hop').action(show);
}

const show = apiAction(async (api, id: string) => {
  const trace = await api.message(id);
  const hops = trace.hops.map((hop) => ({ ...hop, afterMs: Date.parse(hop.at) - Date.parse(trace.time) }));
  return { document: { message: { ...trace, hops } }, lines: traceLines(trace) };
});

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
