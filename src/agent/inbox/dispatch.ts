import { errorTable, ManagerError } from '../../contracts/errors.js';
import {
  isManagerMessageType,
  managerMessageTypes,
  type DeliveryView,
  type MessageView,
} from '../../contracts/inbox.js';
import type { AgentContext } from '../context.js';
import { asError, asFinal, hasCode, isFinal } from '../errors.js';
import type { Handling, Reply } from '../handlers.js';
import { linkSignals } from '../linked-signal.js';
import type { MembershipSync } from '../messaging/memberships.js';
import { sendReply } from '../messaging/request-reply.js';
import type { Verdict } from './verdicts.js';

export type Dispatcher = ReturnType<typeof createDispatcher>;

export function createDispatcher(context: AgentContext, membershipSync: MembershipSync) {
  const { agentId, requests, lifecycle, events, logger } = context;
  const { stopSignal } = lifecycle;
  return {
    /**
     * Passes a delivery to the request, handler or membership list it is for. Never throws.
     * @param token the agent's own. @param lost aborted when the delivery's lease is lost.
     */
    dispatch: async ({ message, attempt }: DeliveryView, token: string, lost: AbortSignal): Promise<Verdict> => {
      const link = linkSignals(stopSignal, lost);
      const handling = { attempt, signal: link.signal };
      try {
        const match = requests.match(message);
        if (match === 'unexpected') throw lateReply(message);
        if (match === 'duplicate') {
          logger.info({ messageId: message.id, source: message.source }, 'ignored a further reply to a request');
        }
        if (match !== 'not a reply') return { kind: 'ack' };
        if (message.type === managerMessageTypes.invitation) {
          await answerInvitation(context, message, handling, token);
        } else {
          await membershipSync.onMessage(message, { token, signal: link.signal });
          await callHandler(context, message, handling);
        }
        return { kind: 'ack' };
      } catch (error) {
        // The handler was interrupted, it did not fail: the message is redelivered after its lease.
        if (stopSignal.aborted) return { kind: 'none' };
        const facts = { agentId, messageId: message.id, type: message.type, attempt, err: error };
        logger.warn(facts, 'message was not handled');
        events.emit('error', asError(error));
        return { kind: 'nack', rejection: { reason: reasonOf(error), final: isFinal(error) } };
      } finally {
        link.release();
      }
    },
    /** Whether a message must not wait for running handlers: one of them may be waiting for this reply. */
    skipsQueue: (message: MessageView): boolean =>
      message.type === managerMessageTypes.invitation || requests.isReply(message),
  };
}

async function callHandler(context: AgentContext, message: MessageView, handling: Handling): Promise<void> {
  const { agentId, handlers, events } = context;
  if (!handlers.message) {
    if (isManagerMessageType(message.type)) return;
    throw new ManagerError(
      'state_conflict',
      `Agent "${agentId}" received a message of type "${message.type}" and has no handler; set one with onMessage()`,
    );
  }
  const returned: unknown = await handlers.message(message, handling);
  if (!isReply(returned)) return;
  if (message.replyTo === null) {
    // If it were sent, two agents whose handlers both return a value would answer each other endlessly.
    const text =
      `The handler of agent "${agentId}" returned a reply to message "${message.id}", which asks for none; ` +
      'call reply() to answer such a message';
    return events.emit('error', new ManagerError('state_conflict', text));
  }
  const { deadLetter } = await sendReply(context, message, returned).catch((error: unknown) => {
    // The manager would refuse the same reply again.
    const isPermanent = error instanceof ManagerError && errorTable[error.code].exit === 2;
    throw isPermanent ? asFinal(error) : error;
  });
  if (deadLetter === undefined) return;
  const text = `The reply of agent "${agentId}" to "${message.replyTo}" had no recipient and was dead-lettered: ${deadLetter}`;
  events.emit('error', new ManagerError('not_found', text));
}

async function answerInvitation(
  { agentId, api, handlers, settings, logger }: AgentContext,
  { clusterId, data }: MessageView,
  handling: Handling,
  token: string,
): Promise<void> {
  if (clusterId === null) return;
  const answer = handlers.invitation
    ? await handlers.invitation({ clusterId, data }, handling)
    : ({ answer: settings.registration.acceptance === 'auto' ? 'accept' : 'decline' } as const);
  try {
    const input = { params: { id: agentId, clusterId }, body: answer };
    await api.command('answerInvitation', input, { token, signal: handling.signal });
  } catch (error) {
    if (!hasCode(error, 'not_found', 'state_conflict', 'operation_ended')) throw error;
    logger.info({ clusterId, err: error }, 'invitation was closed before the agent answered');
  }
}

const isReply = (returned: unknown): returned is Reply =>
  typeof returned === 'object' && returned !== null && 'type' in returned && typeof returned.type === 'string';

const lateReply = ({ id, source, correlationId }: MessageView): Error =>
  asFinal(
    new ManagerError(
      'deadline_exceeded',
      `Reply "${id}" from "${source}" came too late: no request waits for "${correlationId ?? ''}" any more; ` +
        'give request() a longer timeoutMs',
    ),
  );

/** The dead letter's detail: at most 500 characters, without control characters that a terminal would interpret. */
const reasonOf = (error: unknown): string =>
  asError(error)
    .message.slice(0, 500)
    .replace(/[\p{Cc}\p{Cs}]+/gu, ' ')
    .trim() || 'The handler threw an error without a message';
