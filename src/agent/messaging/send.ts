import { AskedToWait } from '../../contracts/api-call.js';
import { isErrorCode, ManagerError } from '../../contracts/errors.js';
import { maxMessages, type MessageResult, type NewMessage } from '../../contracts/messages.js';
import { callWithRetry, defaultTimeoutMs, type TimeLimit } from '../connection/retry.js';
import type { AgentContext } from '../context.js';
import { asError, hasCode } from '../errors.js';
import { newMessageId } from './message-ids.js';

/** An accepted message: durable, and routed to `matched` recipients. */
export type Accepted = Extract<MessageResult, { readonly accepted: true }>;

type Refused = { readonly id: string; readonly accepted: false; readonly error: ManagerError };
/** The result of one message of many: accepted, or refused with an error that has a code. */
export type SendResult = Accepted | Refused;

type MessageWithId = NewMessage & { readonly id: string };
/** Half of the manager's limit for one request body. */
const chunkBytes = 4 * 1024 * 1024;

/** The id is fixed before the first attempt, so that retries send the same message. */
const withId = (message: NewMessage): MessageWithId => ({ ...message, id: message.id ?? newMessageId() });

/** @throws ManagerError the refusal, or as `callWithRetry`. */
export async function sendOne(context: AgentContext, message: NewMessage, limit: TimeLimit = {}): Promise<Accepted> {
  const sent = withId(message);
  return callWithRetry(context, `Message "${sent.id}" could not be sent`, limit, async (call) => {
    const { results } = await context.api.request('sendMessages', { body: { messages: [sent] } }, call);
    const result = resultOf(sent, results[0]);
    if (!result.accepted) throw result.error;
    return result;
  });
}

/**
 * Sends messages in their order. A message for a full mailbox is retried and may be accepted after those that follow it.
 * @returns one result for each message, in the order given. A refusal is a result, not an exception.
 */
export async function sendMany(
  context: AgentContext,
  messages: readonly NewMessage[],
  limit: TimeLimit = {},
): Promise<SendResult[]> {
  const { nowMs } = context;
  const endsAtMs = nowMs() + (limit.timeoutMs ?? defaultTimeoutMs);
  const results: SendResult[] = [];
  for (const chunk of chunksOf(messages.map(withId))) {
    results.push(...(await sendChunk(context, chunk, { ...limit, timeoutMs: Math.max(0, endsAtMs - nowMs()) })));
  }
  return results;
}

async function sendChunk(
  context: AgentContext,
  chunk: readonly MessageWithId[],
  limit: TimeLimit,
): Promise<SendResult[]> {
  const results = new Map<MessageWithId, SendResult>();
  const isUnsent = (message: MessageWithId): boolean => {
    const result = results.get(message);
    return !result || isMailboxFull(result);
  };
  try {
    await callWithRetry(context, `${chunk.length} messages could not be sent`, limit, async (call) => {
      const unsent = chunk.filter(isUnsent);
      const answer = await context.api.request('sendMessages', { body: { messages: unsent } }, call);
      unsent.forEach((message, index) => results.set(message, resultOf(message, answer.results[index])));
      for (const result of results.values()) if (isMailboxFull(result)) throw result.error;
    });
  } catch (cause) {
    limit.signal?.throwIfAborted();
    const error =
      cause instanceof ManagerError ? cause : new ManagerError('internal', asError(cause).message, { cause });
    for (const message of chunk.filter(isUnsent)) results.set(message, { id: message.id, accepted: false, error });
  }
  return chunk.map((message) => results.get(message) ?? resultOf(message, undefined));
}

const isMailboxFull = (result: SendResult): result is Refused =>
  !result.accepted && hasCode(result.error, 'mailbox_full');

function resultOf({ id }: MessageWithId, answer: MessageResult | undefined): SendResult {
  if (answer?.accepted) return answer;
  if (!answer) {
    const text = `The manager returned no result for message "${id}"; run the same version on both sides`;
    return { id, accepted: false, error: new ManagerError('incompatible_service', text) };
  }
  const { code, detail, retryAfterSeconds } = answer.error;
  const cause = retryAfterSeconds === undefined ? undefined : new AskedToWait(retryAfterSeconds * 1000);
  return { id, accepted: false, error: new ManagerError(isErrorCode(code) ? code : 'internal', detail, { cause }) };
}

function chunksOf(messages: readonly MessageWithId[]): readonly (readonly MessageWithId[])[] {
  const chunks: MessageWithId[][] = [];
  let bytes = 0;
  for (const message of messages) {
    const last = chunks.at(-1);
    const messageBytes = Buffer.byteLength(JSON.stringify(message));
    const fits = last && last.length < maxMessages && bytes + messageBytes <= chunkBytes;
    if (fits) last.push(message);
    else chunks.push([message]);
    bytes = fits ? bytes + messageBytes : messageBytes;
  }
  return chunks;
}
