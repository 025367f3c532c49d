import type { MessageView } from '../contracts/inbox.js';
import { isOwnCorrelationId } from './message-id.js';
import { createMemory } from './memory.js';
import type { Nudge } from './pause.js';

type ReplyView = MessageView & { readonly correlationId: string };

/** Requests that wait for their reply, by correlation id. */
export interface PendingRequests {
  /** @returns a function that ends the waiting. */
  add(correlationId: string, onReply: (reply: MessageView) => void): () => void;
  /** How many wait. */
  waiting(): number;
  /** Whether a message answers a request of this agent, one that still waits or not. */
  isReply(message: MessageView): message is ReplyView;
  /**
   * Whose a message is. `reply`: of the one who waits, who has it now. `answered`: a further reply, the first counted.
   * `nobody`: a reply to a request that gave up, or that an earlier process made. `other`: no reply at all.
   */
  claim(message: MessageView): 'reply' | 'answered' | 'nobody' | 'other';
}

/** @param changed nudged when requests begin or end to wait. */
export function createPendingRequests(agentId: string, changed: Nudge): PendingRequests {
  const pending = new Map<string, (reply: MessageView) => void>();
  const answered = createMemory(1000);
  const isReply = (message: MessageView): message is ReplyView =>
    message.correlationId !== null &&
    isOwnCorrelationId(agentId, message.correlationId) &&
    // The request itself comes back to a sender who is a member of what it was sent to.
    message.replyTo !== agentId;
  return {
    add: (correlationId, onReply) => {
      pending.set(correlationId, onReply);
      changed.nudge();
      return () => {
        pending.delete(correlationId);
        changed.nudge();
      };
    },
    waiting: () => pending.size,
    isReply,
    claim: (message) => {
      if (!isReply(message)) return 'other';
      const { correlationId } = message;
      const onReply = pending.get(correlationId);
      if (onReply) {
        pending.delete(correlationId);
        answered.add(correlationId);
        onReply(message);
        return 'reply';
      }
      return answered.has(correlationId) ? 'answered' : 'nobody';
    },
  };
}
