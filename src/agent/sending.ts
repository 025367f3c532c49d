import { AskedToWait } from '../contracts/api-call.js';
import { errorTable, ManagerError, type ErrorCode } from '../contracts/errors.js';
import { maxMessages, type MessageResult, type NewMessage } from '../contracts/messages.js';
import { asError, hasCode, type AgentContext } from './context.js';
import { newMessageId } from './message-id.js';
import { defaultTimeoutMs, persist, type TimeLimit } from './persist.js';

/** An accepted message: durable, and routed to `matched` recipients. */
export type Accepted = Extract<MessageResult, { readonly accepted: true }>;

/** What became of one of many: accepted, or refused with an error that has a code. */
export type SendResult = Accepted | { readonly id: string; readonly accepted: false; readonly error: ManagerError };

type Named = NewMessage & { readonly id: string };
/** Half of what the manager takes in one body. */
const chunkBytes = 4 * 1024 * 1024;

/** The id is there before the first try: however often a message is sent, it is one. */
const named = (message: NewMessage): Named => ({ ...message, id: message.id ?? newMessageId() });

/** @throws ManagerError the refusal, or what `persist` says. */
export async function sendOne(context: AgentContext, message: NewMessage, limit: TimeLimit): Promise<Accepted> {
  const sent = named(message);
  return persist(context, `Message "${sent.id}" could not be sent`, limit, async (token, call) => {
    const result = resultOf(sent, (await context.api.send(token, [sent], call))[0]);
    if (!result.accepted) throw result.error;
    return result;
  });
}

/**
 * Sends many, in their order; one that found a mailbox full is tried again, so it may come after those that follow.
 * @returns one result each, in the order given. Never throws for what becomes of the messages.
 */
export async function sendMany(
  context: AgentContext,
  messages: readonly NewMessage[],
  limit: TimeLimit,
): Promise<SendResult[]> {
  const endsAtMs = context.nowMs() + (limit.timeoutMs ?? defaultTimeoutMs);
  const results: SendResult[] = [];
  for (const chunk of chunksOf(messages.map(named))) {
    results.push(
      ...(await sendChunk(context, chunk, { ...limit, timeoutMs: Math.max(0, endsAtMs - context.nowMs()) })),
    );
  }
  return results;
}

async function sendChunk(context: AgentContext, chunk: readonly Named[], limit: TimeLimit): Promise<SendResult[]> {
  const results = new Map<Named, SendResult>();
  const isOpen = (message: Named): boolean => {
    const result = results.get(message);
    return !result || isFull(result);
  };
  try {
    await persist(context, `${chunk.length} messages could not be sent`, limit, async (token, call) => {
      const asked = chunk.filter(isOpen);
      const answers = await context.api.send(token, asked, call);
      asked.forEach((message, at) => results.set(message, resultOf(message, answers[at])));
      for (const result of results.values()) if (isFull(result)) throw result.error;
    });
  } catch (error) {
    limit.signal?.throwIfAborted();
    const refusal =
      error instanceof ManagerError ? error : new ManagerError('internal', asError(error).message, { cause: error });
    for (const message of chunk.filter(isOpen))
      results.set(message, { id: message.id, accepted: false, error: refusal });
  }
  return chunk.map((message) => results.get(message) ?? resultOf(message, undefined));
}

const isFull = (result: SendResult): result is Extract<SendResult, { readonly accepted: false }> =>
  !result.accepted && hasCode(result.error, 'mailbox_full');

function resultOf({ id }: Named, answer: MessageResult | undefined): SendResult {
  if (answer?.accepted) return answer;
  if (!answer) {
    const text = `The manager gave no result for message "${id}"; run the same version on both sides`;
    return { id, accepted: false, error: new ManagerError('incompatible_service', text) };
  }
  const { code, detail, retryAfterSeconds } = answer.error;
  const cause = retryAfterSeconds === undefined ? undefined : new AskedToWait(retryAfterSeconds * 1000);
  return { id, accepted: false, error: new ManagerError(isErrorCode(code) ? code : 'internal', detail, { cause }) };
}

const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(errorTable, code);

function* chunksOf(messages: readonly Named[]): Generator<readonly Named[]> {
  let chunk: Named[] = [];
  let bytes = 0;
  for (const message of messages) {
    const more = Buffer.byteLength(JSON.stringify(message));
    if (chunk.length > 0 && (chunk.length >= maxMessages || bytes + more > chunkBytes)) {
      yield chunk;
      chunk = [];
      bytes = 0;
    }
    chunk.push(message);
    bytes += more;
  }
  if (chunk.length > 0) yield chunk;
}
