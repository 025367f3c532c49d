import { identifierPattern } from '../contracts/ids.js';
import { ManagerError } from '../contracts/errors.js';
import { managerMessageTypes, type MessageView } from '../contracts/inbox.js';
import type { Address } from '../contracts/messages.js';
import { hasCode, type AgentContext } from './context.js';
import { newCorrelationId, replyIdOf } from './message-id.js';
import type { Content, Reply } from './options.js';
import { defaultTimeoutMs, longestTimerMs, type TimeLimit } from './persist.js';
import { sendOne, type Accepted } from './sending.js';

/**
 * Answers a message, once: a further reply changes nothing and is told as a `duplicate`.
 * @throws ManagerError `invalid_request` when there is nobody to answer, else as `sendOne`.
 */
export async function sendReply(
  context: AgentContext,
  message: MessageView,
  reply: Reply,
  limit: TimeLimit = {},
): Promise<Accepted> {
  const id = reply.id ?? replyIdOf(message);
  const correlationId = message.correlationId ?? message.id;
  try {
    return await sendOne(context, { ...reply, id, to: { agent: replyAddressOf(message) }, correlationId }, limit);
  } catch (error) {
    // A handler that ran again after a crash said something else this time: what was said first is what was heard.
    if (reply.id === undefined && hasCode(error, 'idempotency_conflict')) {
      return { id, accepted: true, matched: 0, duplicate: true };
    }
    throw error;
  }
}

function replyAddressOf({ id, source, type, replyTo }: MessageView): string {
  if (replyTo !== null) return replyTo;
  if (identifierPattern.test(source) && !Object.values<string>(managerMessageTypes).includes(type)) return source;
  throw new ManagerError(
    'invalid_request',
    `Message "${id}" of "${source}" cannot be answered: its sender has no inbox and it names no replyTo`,
  );
}

/**
 * Sends a message and waits for the first reply to it. Nobody need handle it after the time is over, so it expires then.
 * @throws ManagerError `not_found` when nobody was there to take it, `deadline_exceeded` when no reply came in time,
 * `state_conflict` when the agent stopped, else as `sendOne`.
 */
export async function sendRequest(
  context: AgentContext,
  to: Address,
  content: Content,
  { timeoutMs = defaultTimeoutMs, signal }: TimeLimit,
): Promise<MessageView> {
  const { settings, requests, life, nowMs } = context;
  const { id: agentId } = settings.registration;
  const correlationId = newCorrelationId(agentId);
  const endsAtMs = nowMs() + timeoutMs;
  const ending = new AbortController();
  const ttlSeconds = content.ttlSeconds ?? Math.min(Math.max(Math.ceil(timeoutMs / 1000), 1), 604_800);
  const replied = new Promise<MessageView>((resolve, reject) => {
    const forget = requests.add(correlationId, resolve);
    const end = { signal: ending.signal };
    ending.signal.addEventListener('abort', forget);
    signal?.addEventListener('abort', () => reject(signal.reason as Error), end);
    life.signal.addEventListener('abort', () => reject(stoppedMeanwhile(agentId)), end);
  });
  // Looked at only after the message was sent, which may fail first.
  replied.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  try {
    const message = { ...content, to, ttlSeconds, correlationId, replyTo: agentId };
    const sent = await sendOne(context, message, { timeoutMs, signal });
    if (sent.deadLetter !== undefined) throw nobodyTookIt(to, sent.id, sent.deadLetter);
    const late = new Promise<never>((_resolve, reject) => {
      const leftMs = Math.min(Math.max(0, endsAtMs - nowMs()), longestTimerMs);
      timer = setTimeout(() => reject(tooLate(to, sent.id, timeoutMs)), leftMs);
    });
    return await Promise.race([replied, late]);
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

const stoppedMeanwhile = (agentId: string): ManagerError =>
  new ManagerError('state_conflict', `Agent "${agentId}" was stopped while it waited for a reply`);

const nobodyTookIt = (to: Address, id: string, deadLetter: string): ManagerError =>
  new ManagerError(
    'not_found',
    `Request "${id}" to ${JSON.stringify(to)} reached nobody and is a dead letter: ${deadLetter}`,
  );

const tooLate = (to: Address, id: string, timeoutMs: number): ManagerError =>
  new ManagerError(
    'deadline_exceeded',
    `No reply to request "${id}" to ${JSON.stringify(to)} within ${timeoutMs / 1000} s; ` +
      `"cluster-manager messages show ${id}" tells how far it came`,
  );
