import type { ResponseOf } from '../../contracts/endpoint.js';
import type { Endpoints } from '../../contracts/endpoints.js';
import type { MessageView } from '../../contracts/inbox.js';
import type { Address, NewMessage } from '../../contracts/messages.js';
import type { NewTopic, TopicView } from '../../contracts/topics.js';
import { callWithRetry, type TimeLimit } from '../connection/retry.js';
import type { AgentContext } from '../context.js';
import type { Content, Reply } from '../handlers.js';
import { sendReply, sendRequest } from './request-reply.js';
import { sendMany, sendOne, type Accepted, type SendResult } from './send.js';
import type { Subscribed, SubscribeOptions, Subscriptions } from './subscriptions.js';

/** `drain` delivers pending messages first, `force` dead-letters them. */
export type DeleteTopicMode = 'drain' | 'force';
export type TopicDeleted = ResponseOf<Endpoints['deleteTopic']>;

/**
 * How an agent sends. While the manager does not answer, a call is retried, as the same message, for `timeoutMs` (default
 * 30,000); then it throws `service_unavailable`, and the message may have been accepted. Each call throws ManagerError
 * with the refusal's code, and `state_conflict` before `start()` and after `stop()`. Calls that do not wait for one
 * another may be accepted in any order.
 */
export interface Messaging {
  /**
   * Sends one message. When it resolves, the message is durable and routed to `matched` recipients. A message without a
   * recipient is accepted, and `deadLetter` says why it had none.
   * @throws ManagerError also `body_too_large`, `mailbox_full`, `idempotency_conflict` when another message has its id.
   */
  send(message: NewMessage, limit?: TimeLimit): Promise<Accepted>;
  /** Sends any number of messages in their order. @returns one result for each; a refusal is a result, not an exception. */
  sendMany(messages: readonly NewMessage[], limit?: TimeLimit): Promise<SendResult[]>;
  /** Sends to the subscribers of a topic, by its full name. */
  publish(topic: string, content: Content, limit?: TimeLimit): Promise<Accepted>;
  /** Sends to all members of a cluster. */
  broadcast(clusterId: string, content: Content, limit?: TimeLimit): Promise<Accepted>;
  /**
   * Sends a message and waits for the first reply to it, which is not passed to the message handler.
   * @throws ManagerError also `not_found` when the message had no recipient, `deadline_exceeded` when no reply came within
   * `timeoutMs`.
   */
  request(to: Address, content: Content, limit?: TimeLimit): Promise<MessageView>;
  /**
   * Replies to a message at any time. A handler may return its reply instead. Each message has one reply: a further one is
   * a `duplicate` and changes nothing.
   * @throws ManagerError also `invalid_request` when the sender cannot be answered.
   */
  reply(message: MessageView, reply: Reply, limit?: TimeLimit): Promise<Accepted>;
  /**
   * Creates a topic that this agent owns. Creating the same topic again succeeds.
   * @throws ManagerError `state_conflict` when another topic has its name.
   */
  createTopic(topic: NewTopic, limit?: TimeLimit): Promise<TopicView>;
  /**
   * Deletes a topic of this agent. `drain`, the default, delivers pending messages first; `force` dead-letters them.
   * @throws ManagerError also `not_found`, `forbidden` when another agent owns it.
   */
  deleteTopic(name: string, options?: TimeLimit & { readonly mode?: DeleteTopicMode }): Promise<TopicDeleted>;
  /**
   * Subscribes to topics: `orders.*.created`, `orders.>`. The subscription lasts as long as the agent's lease, and is
   * renewed when the agent registers again.
   * @returns the subscription and how many retained messages are delivered with it.
   */
  subscribe(pattern: string, options?: SubscribeOptions): Promise<Subscribed>;
  /** @returns whether there was such a subscription. */
  unsubscribe(pattern: string, options?: Omit<SubscribeOptions, 'retained'>): Promise<boolean>;
}

export function createMessaging(context: AgentContext, { subscribe, unsubscribe }: Subscriptions): Messaging {
  const { api } = context;
  return {
    subscribe,
    unsubscribe,
    send: (message, limit) => sendOne(context, message, limit),
    sendMany: (messages, limit) => sendMany(context, messages, limit),
    publish: (topic, content, limit) => sendOne(context, { ...content, to: { topic } }, limit),
    broadcast: (clusterId, content, limit) => sendOne(context, { ...content, to: { cluster: clusterId } }, limit),
    request: (to, content, limit) => sendRequest(context, to, content, limit),
    reply: (message, reply, limit) => sendReply(context, message, reply, limit),
    createTopic: (topic, limit = {}) =>
      callWithRetry(context, `Topic "${topic.name}" could not be created`, limit, async (call) => {
        return (await api.request('createTopic', { body: topic }, call)).topic;
      }),
    deleteTopic: (name, { mode = 'drain', ...limit } = {}) =>
      callWithRetry(context, `Topic "${name}" could not be deleted`, limit, (call) =>
        api.request('deleteTopic', { params: { name }, query: { mode } }, call),
      ),
  };
}
