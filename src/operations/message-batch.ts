import { createHash } from 'node:crypto';
import { inlineLimitBytes, type CommunicationRequest } from '../contracts/communication.js';
import { ManagerError } from '../contracts/errors.js';
import { storeBatch, type BatchParts, type CommunicationDb } from '../stores/communication/index.js';

interface BatchDeps {
  readonly communication: CommunicationDb;
}

/**
 * Stores a batch of messages under an id derived from its owner and content, so that the same batch is stored once.
 * Operators share theirs: a request sent again with another operator's token is still the same request.
 * @param owner as `requesterOf` gives it.
 * @returns the batch's id.
 */
export async function storeMessageBatch(
  { communication }: BatchDeps,
  owner: string,
  parts: BatchParts,
): Promise<string> {
  const scope = owner.startsWith('agent:') ? owner : 'operators';
  const digest = createHash('sha256').update(scope).update('\n').update(JSON.stringify(parts)).digest('hex');
  const id = `batch_${digest.slice(0, 40)}`;
  await storeBatch(communication, { id, owner, parts });
  return id;
}

/**
 * Stores the messages of a request that is too large for a workflow's input, and replaces them by the batch's id.
 * Source: claim check (Hohpe and Woolf, Enterprise Integration Patterns).
 * @throws ManagerError `body_too_large` when the request is too large without its messages.
 */
export async function withStoredMessages(
  deps: BatchDeps,
  owner: string,
  request: CommunicationRequest,
): Promise<CommunicationRequest> {
  if (bytesOf(request) <= inlineLimitBytes) return request;
  const { messages = [], broadcasts = [], ...rest } = request;
  if (bytesOf(rest) > inlineLimitBytes) {
    throw new ManagerError(
      'body_too_large',
      `Without its messages and broadcasts the request has ${bytesOf(rest)} bytes, ${inlineLimitBytes} are allowed; ` +
        'ask for fewer changes at a time, and publish larger data with messages to {topic}',
    );
  }
  return { ...rest, batchId: await storeMessageBatch(deps, owner, { messages, broadcasts }) };
}

const bytesOf = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));
