import { errorTable, ManagerError } from '../contracts/errors.js';
import { managerMessageTypes, type DeliveryView, type MessageView } from '../contracts/inbox.js';
import { asError, hasCode, type AgentContext } from './context.js';
import { isFinal } from './final-error.js';
import { learnFromMessage } from './learn.js';
import { linkSignals } from './linked-signal.js';
import type { Handling, Reply } from './options.js';
import { sendReply } from './replying.js';

/** What is to become of a delivery. `leave`: nothing is said, its lease runs out. */
export type Outcome =
  | { readonly how: 'ack' }
  | { readonly how: 'leave' }
  | { readonly how: 'nack'; readonly reason: string; readonly final: boolean };

interface Work {
  readonly delivery: DeliveryView;
  readonly token: string;
  readonly lost: AbortSignal;
}

/** Hands one delivery to whom it is for. Never throws. */
export async function handle(context: AgentContext, { delivery, token, lost }: Work): Promise<Outcome> {
  const { events, logger, life, requests, settings } = context;
  const { message, attempt } = delivery;
  const link = linkSignals(life.signal, lost);
  try {
    switch (requests.claim(message)) {
      case 'nobody':
        throw nobodyWaits(message);
      case 'answered':
        logger.info({ messageId: message.id, source: message.source }, 'further reply to an answered request');
        return { how: 'ack' };
      case 'reply':
        return { how: 'ack' };
      case 'other':
    }
    if (message.type === managerMessageTypes.invitation) {
      await answerInvitation(context, message, { attempt, signal: link.signal }, token);
      return { how: 'ack' };
    }
    await learnFromMessage(context, message, token, link.signal);
    await handToHandler(context, message, { attempt, signal: link.signal });
    return { how: 'ack' };
  } catch (error) {
    // Cut short, not failed: what was begun is done by another run, and nobody is to blame.
    if (life.signal.aborted) return { how: 'leave' };
    logger.warn(
      { agentId: settings.registration.id, messageId: message.id, type: message.type, attempt, err: error },
      'message was not handled',
    );
    events.emit('error', asError(error));
    return { how: 'nack', reason: reasonOf(error), final: isFinal(error) };
  } finally {
    link.release();
  }
}

async function handToHandler(context: AgentContext, message: MessageView, handling: Handling): Promise<void> {
  const { handlers, settings, events } = context;
  const { id } = settings.registration;
  if (!handlers.message) {
    if (Object.values<string>(managerMessageTypes).includes(message.type)) return;
    throw new ManagerError(
      'state_conflict',
      `Agent "${id}" has no handler for messages and was sent a "${message.type}"; give it one with onMessage`,
    );
  }
  const returned: unknown = await handlers.message(message, handling);
  if (!isReply(returned)) return;
  if (message.replyTo === null) {
    // Sent all the same, two agents whose handlers both return something would answer each other for ever.
    const text = `The handler of agent "${id}" returned a reply to message "${message.id}", which asks for none; use reply() to answer it all the same`;
    return events.emit('error', new ManagerError('state_conflict', text));
  }
  const { deadLetter } = await sendReply(context, message, returned).catch((error: unknown) => {
    throw isRefusedForGood(error) ? Object.assign(asError(error), { final: true }) : error;
  });
  if (deadLetter === undefined) return;
  const text = `The reply of agent "${id}" to "${message.replyTo}" reached nobody and is a dead letter: ${deadLetter}`;
  events.emit('error', new ManagerError('not_found', text));
}

const isReply = (returned: unknown): returned is Reply =>
  typeof returned === 'object' && returned !== null && 'type' in returned && typeof returned.type === 'string';

/** The same reply again would be refused again. */
const isRefusedForGood = (error: unknown): boolean =>
  error instanceof ManagerError && errorTable[error.code].exit === 2;

const nobodyWaits = ({ id, source, correlationId }: MessageView): Error =>
  Object.assign(
    new ManagerError(
      'deadline_exceeded',
      `Reply "${id}" of "${source}" came too late: no request waits for "${correlationId ?? ''}" any more; give request() a longer timeoutMs`,
    ),
    { final: true },
  );

/** As the dead letter will tell it: 500 characters at most, none of which a terminal would act on. */
const reasonOf = (error: unknown): string =>
  asError(error)
    .message.slice(0, 500)
    .replace(/[\p{Cc}\p{Cs}]+/gu, ' ')
    .trim() || 'The handler failed without a word';

async function answerInvitation(
  { api, handlers, settings, logger }: AgentContext,
  { clusterId, data }: MessageView,
  handling: Handling,
  token: string,
): Promise<void> {
  if (clusterId === null) return;
  const answer = handlers.invitation
    ? await handlers.invitation({ clusterId, data }, handling)
    : ({ answer: settings.registration.acceptance === 'auto' ? 'accept' : 'decline' } as const);
  try {
    await api.answer(token, clusterId, answer, handling.signal);
  } catch (error) {
    // The formation went on without this answer: there is nothing left to answer.
    if (!hasCode(error, 'not_found', 'state_conflict', 'operation_ended')) throw error;
    logger.info({ clusterId, err: error }, 'invitation was closed before the answer came');
  }
}
