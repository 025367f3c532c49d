import { ManagerError } from '../../contracts/errors.js';
import { deadLetterView, type MessageResult } from '../../contracts/messages.js';
import { viewOf } from '../../contracts/view.js';
import { traceMessage } from '../../messaging/message-trace.js';
import { receiptsOf } from '../../messaging/receipts.js';
import { replayDeadLetter } from '../../messaging/replay-dead-letter.js';
import { storeMessageBatch } from '../../operations/message-batch.js';
import { requesterOf } from '../../operations/requester.js';
import { temporalUrl } from '../../operations/view.js';
import type { Principal } from '../../stores/clusters/index.js';
import {
  deadLetterIdOf,
  deadLetterNoOf,
  deliveriesOf,
  discardDeadLetter,
  findDeadLetter,
  findMessages,
  listDeadLetters,
  type CommunicationDb,
  type DeadLetterRow,
  type StoredMessage,
} from '../../stores/communication/index.js';
import { pageByNumber } from '../cursor.js';
import type { MessageDeps } from '../deps.js';
import type { Handlers } from '../handlers.js';
import { retryLater } from '../error-with-headers.js';
import { senderOf } from '../sender.js';
import { notFound } from '../visibility.js';

export const messageHandlers = (deps: MessageDeps) =>
  ({
    sendMessages: async ({ body: { messages }, principal }) => {
      const sender = senderOf(principal);
      const results = await deps.accept(messages.map((message) => ({ sender, message })));
      for (const result of results) deps.metrics.messages.inc({ outcome: outcomeOf(result) });
      refuseWhenAllInboxesAreFull(results);
      return { results };
    },

    getMessage: async ({ params: { id }, principal }) => {
      const message = await visibleMessage(deps, principal, id);
      const trace = await traceMessage(deps.communication, message);
      const url = trace.operationId ? temporalUrl(deps.config(), `communication/${trace.operationId}`) : null;
      return { message: { ...trace, temporalUrl: url } };
    },

    getReceipt: async ({ params: { id }, principal: { agentId } }) => {
      const [found] = await receiptsOf(deps.communication, [agentId === null ? { id } : { id, source: agentId }]);
      if (!found) throw messageNotFound(id);
      return { receipt: found.receipt };
    },

    storeBatch: async ({ body, principal }) => ({
      batchId: await storeMessageBatch(deps, requesterOf(principal), body),
    }),

    listDeadLetters: async ({ query }) => {
      const read = await pageByNumber(query, 'no', (page) => listDeadLetters(deps.communication, page));
      return { deadLetters: read.rows.map(letterViewOf), nextCursor: read.nextCursor };
    },

    replayDeadLetter: async ({ params: { id }, principal }) => {
      const letter = await existingLetter(deps.communication, id);
      const matched = await replayDeadLetter(deps, letter, requesterOf(principal));
      return { deadLetter: letterViewOf(await existingLetter(deps.communication, id)), matched };
    },

    discardDeadLetter: async ({ params: { id }, principal }) => {
      const letter = await existingLetter(deps.communication, id);
      if (!(await discardDeadLetter(deps.communication, letter.no, requesterOf(principal)))) {
        throw new ManagerError('state_conflict', `Dead letter ${id} was ${letter.state} already`);
      }
      return { deadLetter: letterViewOf(await existingLetter(deps.communication, id)) };
    },
  }) satisfies Partial<Handlers>;

/** The label of the messages metric. */
function outcomeOf(result: MessageResult): string {
  if (!result.accepted) return result.error.code;
  if (result.duplicate) return 'duplicate';
  return result.deadLetter ? 'dead_letter' : 'accepted';
}

/** When some messages were accepted, each result reports its own refusal; when none was, the request itself is refused. */
function refuseWhenAllInboxesAreFull(results: readonly MessageResult[]): void {
  const full = results.flatMap((result) => (!result.accepted && result.error.code === 'mailbox_full' ? [result] : []));
  const [first] = full;
  if (!first || full.length < results.length) return;
  throw retryLater('mailbox_full', first.error.detail, first.error.retryAfterSeconds ?? 1);
}

/** An agent sees the messages that it sent or received. */
async function visibleMessage(
  { communication }: MessageDeps,
  { agentId }: Principal,
  id: string,
): Promise<StoredMessage> {
  for (const message of await findMessages(communication, id)) {
    if (agentId === null || message.source === agentId) return message;
    const deliveries = await deliveriesOf(communication, message.no, 10_000);
    if (deliveries.some(({ recipient }) => recipient === agentId)) return message;
  }
  throw messageNotFound(id);
}

const messageNotFound = (id: string): ManagerError =>
  notFound(`Message "${id}"`, 'finished messages are deleted when their retention ends');

async function existingLetter(communication: CommunicationDb, id: string): Promise<DeadLetterRow> {
  const no = deadLetterNoOf(id);
  const letter = no === undefined ? undefined : await findDeadLetter(communication, no);
  if (!letter) throw notFound(`Dead letter "${id}"`);
  return letter;
}

const letterViewOf = (row: DeadLetterRow) => viewOf(deadLetterView, { ...row, id: deadLetterIdOf(row.no) });
