import type { Command } from 'commander';
import type { MessageTrace } from '../contracts/messages.js';
import { connect } from './connection.js';
import { addressText } from './message-text.js';
import { ago, elapsed, facts, show, table } from './output.js';

export function define(command: Command): void {
  command.command('show <id>').description('the way of a message, hop by hop').action(showOne);
}

async function showOne(id: string, _options: object, command: Command): Promise<void> {
  const message = await connect(command).message(id);
  show(command, { message: documentOf(message) }, wayLines(message));
}

export function wayLines(message: MessageTrace): string[] {
  const sentMs = Date.parse(message.time);
  return [
    ...facts([
      ['message', message.id],
      ['type', message.type],
      ['from', message.source],
      ['to', addressText(message.to)],
      ['sent', `${message.time} (${ago(message.time)})`],
      ['expires', message.expiresAt],
      [
        'cluster',
        message.clusterId && `${message.clusterId}${message.epoch === null ? '' : `, epoch ${message.epoch}`}`,
      ],
      ['recipients', message.matched],
      ['operation', message.operationId],
      ['Temporal UI', message.temporalUrl],
    ]),
    '',
    ...table(
      ['AFTER', 'WHAT', 'RECIPIENT', 'DETAIL'],
      message.hops.map(({ at, what, recipient, detail }) => [
        elapsed(Date.parse(at) - sentMs),
        what.replaceAll('_', ' '),
        recipient ?? '',
        detail,
      ]),
    ),
    ...(message.deliveries.length === 0 ? [] : ['', ...deliveryTable(message)]),
  ];
}

const deliveryTable = ({ deliveries }: MessageTrace): string[] =>
  table(
    ['RECIPIENT', 'STATE', 'TRIES', 'FOUND AS', 'DELIVERY'],
    deliveries.map(({ recipient, state, attempts, via, id }) => [
      recipient,
      state.replaceAll('_', ' '),
      String(attempts),
      via,
      id,
    ]),
  );

/** The command's own shape. */
const documentOf = (message: MessageTrace) => ({
  id: message.id,
  source: message.source,
  type: message.type,
  to: message.to,
  time: message.time,
  expiresAt: message.expiresAt,
  clusterId: message.clusterId,
  epoch: message.epoch,
  matched: message.matched,
  operationId: message.operationId,
  temporalUrl: message.temporalUrl,
  deliveries: message.deliveries,
  hops: message.hops.map(({ at, what, recipient, detail }) => ({
    at,
    afterMs: Date.parse(at) - Date.parse(message.time),
    what,
    recipient,
    detail,
  })),
});
