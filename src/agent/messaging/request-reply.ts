import { ManagerError, type ErrorCode } from '../../contracts/errors.js';
import { identifierPattern } from '../../contracts/ids.js';
import { isManagerMessageType, type MessageView } from '../../contracts/inbox.js';
import type { Address } from '../../contracts/messages.js';
import { defaultTimeoutMs, longestTimerMs, type TimeLimit } from '../connection/retry.js';
import type { AgentContext } from '../context.js';
import { hasCode } from '../errors.js';
import type { Content, Reply } from '../handlers.js';
import { newMessageId, replyIdOf } from './message-ids.js';
import { sendOne, type Accepted } from './send.js';

const maxTtlSeconds = 604_800;

/**
 * Replies to a message, once: a further reply changes nothing and is reported as a `duplicate`.
 * @throws ManagerError `invalid_request` when the sender cannot be answered, else as `sendOne`.
 */
export async function sendReply(
  context: AgentContext,
  message: MessageView,
  reply: Reply,
  limit?: TimeLimit,
): Promise<Accepted> {
  const id = reply.id ?? replyIdOf(message);
  const correlationId = message.correlationId ?? message.id;
  try {
    return await sendOne(context, { ...reply, id, to: { agent: replyAddressOf(message) }, correlationId }, limit);
  } catch (error) {
    // A handler that ran again after a crash may return another reply: the first one was delivered.
    if (reply.id === undefined && hasCode(error, 'idempotency_conflict')) {
      return { id, accepted: true, matched: 0, duplicate: true };
    }
    throw error;
  }
}

function replyAddressOf({ id, source, type, replyTo }: MessageView): string {
  if (replyTo !== null) return replyTo;
  if (identifierPattern.test(source) && !isManagerMessageType(type)) return source;
  throw new ManagerError(
    'invalid_request',
    `Message "${id}" from "${source}" cannot be answered: its sender has no inbox and it has no replyTo`,
  );
}

/**
 * Sends a message and waits for the first reply to it. The message expires with the time limit.
 * @throws ManagerError `not_found` when the message had no recipient, `deadline_exceeded` when no reply came in time,
 * `state_conflict` when the agent stopped, else as `sendOne`.
 */
export async function sendRequest(
  context: AgentContext,
  to: Address,
  content: Content,
  { timeoutMs = defaultTimeoutMs, signal }: TimeLimit = {},
): Promise<MessageView> {
  const { agentId, lifecycle, requests } = context;
  const id = content.id ?? newMessageId();
  const correlationId = requests.newCorrelationId();
  const request = `"${id}" to ${JSON.stringify(to)}`;
  const ended = new AbortController();
  const replied = new Promise<MessageView>((resolve, reject) => {
    const remove = requests.add(correlationId, resolve);
    const refuse = (code: ErrorCode, text: string) => () => reject(new ManagerError(code, text));
    const noReply = `No reply to request ${request} within ${timeoutMs / 1000} s; "cluster-manager messages show ${id}" traces the message`;
    const timer = setTimeout(refuse('deadline_exceeded', noReply), Math.min(timeoutMs, longestTimerMs));
    const stopped = `Agent "${agentId}" was stopped while it waited for a reply`;
    const untilEnded = { signal: ended.signal };
    ended.signal.addEventListener('abort', () => {
      remove();
      clearTimeout(timer);
    });
    signal?.addEventListener('abort', () => reject(signal.reason as Error), untilEnded);
    lifecycle.stopSignal.addEventListener('abort', refuse('state_conflict', stopped), untilEnded);
  });
  // Awaited only after the message was sent; sending may fail first.
  replied.catch(() => undefined);
  try {
    const ttlSeconds = content.ttlSeconds ?? Math.min(Math.max(Math.ceil(timeoutMs / 1000), 1), maxTtlSeconds);
    const message = { ...content, id, to, ttlSeconds, correlationId, replyTo: agentId };
    const { deadLetter } = await sendOne(context, message, { timeoutMs, signal });
    if (deadLetter !== undefined) {
      throw new ManagerError('not_found', `Request ${request} had no recipient and was dead-lettered: ${deadLetter}`);
    }
    return await replied;
  } finally {
    ended.abort();
  }
}
