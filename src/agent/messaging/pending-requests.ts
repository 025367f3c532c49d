import { randomUUID } from 'node:crypto';
import type { MessageView } from '../../contracts/inbox.js';
import { createRecentKeys } from '../recent-keys.js';

type ReplyView = MessageView & { readonly correlationId: string };

/**
 * Requests that wait for their reply, by correlation id.
 * @param onCountChanged called when a request was added or removed by its caller.
 */
export function createPendingRequests(agentId: string, onCountChanged: () => void) {
  /** Marks the correlation ids of this agent's requests, those of an earlier process included. */
  const prefix = `request:${agentId}:`;
  const pending = new Map<string, (reply: MessageView) => void>();
  const answered = createRecentKeys(1000);
  /** Whether a message replies to a request of this agent, pending or not. */
  const isReply = (message: MessageView): message is ReplyView =>
    message.correlationId !== null &&
    message.correlationId.startsWith(prefix) &&
    // A sender who is among the recipients receives its own request, with its own correlation id.
    message.replyTo !== agentId;
  return {
    newCorrelationId: (): string => `${prefix}${randomUUID()}`,
    /** @returns a function that removes the request. */
    add: (correlationId: string, onReply: (reply: MessageView) => void): (() => void) => {
      pending.set(correlationId, onReply);
      onCountChanged();
      return () => {
        pending.delete(correlationId);
        onCountChanged();
      };
    },
    count: (): number => pending.size,
    isReply,
    /**
     * Resolves the request that a message replies to. `matched`: it was pending and has its reply now. `duplicate`: it was
     * answered before. `unexpected`: it had timed out, or an earlier process made it.
     */
    match: (message: MessageView): 'matched' | 'duplicate' | 'unexpected' | 'not a reply' => {
      if (!isReply(message)) return 'not a reply';
      const { correlationId } = message;
      const onReply = pending.get(correlationId);
      if (!onReply) return answered.has(correlationId) ? 'duplicate' : 'unexpected';
      pending.delete(correlationId);
      answered.add(correlationId);
      onReply(message);
      return 'matched';
    },
  };
}
