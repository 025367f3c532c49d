import type { MessageView } from '../contracts/inbox.js';
import type { Address, NewMessage } from '../contracts/messages.js';
import type { NewTopic, TopicView } from '../contracts/topics.js';
import type { DeleteTopicMode, Subscribed, TopicDeleted } from './agent-api.js';
import type { AgentContext } from './context.js';
import type { Content, Reply } from './options.js';
import { persist, type TimeLimit } from './persist.js';
import { sendReply, sendRequest } from './replying.js';
import { sendMany, sendOne, type Accepted, type SendResult } from './sending.js';
import { createSubscriptions, type SubscribeOptions, type Subscriptions } from './subscriptions.js';

/**
 * What an agent says to others. A call made while the manager is away is tried again, as the same message, for
 * `timeoutMs` (default 30,000) and then throws `service_unavailable`: the message may have been accepted all the same.
 * Each throws ManagerError with the refusal's code, and `state_conflict` before `start()` and after `stop()`. Calls that
 * do not wait for one another may be accepted in any order.
 */
export interface Messaging {
  /**
   * Sends one message. When it resolves the message is durable and routed to `matched` recipients; nobody there is no
   * refusal: then `deadLetter` says why.
   * @throws ManagerError also `body_too_large`, `mailbox_full`, `idempotency_conflict` when another message has its id.
   */
  send(message: NewMessage, limit?: TimeLimit): Promise<Accepted>;
  /** Sends any number, in their order. @returns one result each; a refusal is a result with an error, not thrown. */
  sendMany(messages: readonly NewMessage[], limit?: TimeLimit): Promise<SendResult[]>;
  /** Sends to the subscribers of a topic, by its full name. */
  publish(topic: string, content: Content, limit?: TimeLimit): Promise<Accepted>;
  /** Sends to all members of a cluster. */
  broadcast(clusterId: string, content: Content, limit?: TimeLimit): Promise<Accepted>;
  /**
   * Sends a message and waits for the reply to it, the first if there are several. The reply does not go to the handler.
   * @throws ManagerError also `not_found` when nobody was there to take it, `deadline_exceeded` when no reply came within
   * `timeoutMs`.
   */
  request(to: Address, content: Content, limit?: TimeLimit): Promise<MessageView>;
  /**
   * Answers a message at any time; what a handler returns is answered so too. One reply a message: a further one is a
   * `duplicate` and changes nothing.
   * @throws ManagerError also `invalid_request` when its sender cannot be answered.
   */
  reply(message: MessageView, reply: Reply, limit?: TimeLimit): Promise<Accepted>;
  /** Creates a topic, which then is this agent's. The same one again is no error. @throws ManagerError `state_conflict` when another one has its name. */
  createTopic(topic: NewTopic, limit?: TimeLimit): Promise<TopicView>;
  /**
   * Deletes a topic of this agent. `drain`, the default, lets what is on its way arrive first; `force` makes dead letters of it.
   * @throws ManagerError also `not_found`, `forbidden` when it belongs to another.
   */
  deleteTopic(name: string, options?: TimeLimit & { readonly mode?: DeleteTopicMode }): Promise<TopicDeleted>;
  /**
   * Subscribes to topics: `orders.*.created`, `orders.>`. It lives as long as the agent's lease, and is made again when
   * the agent had to register again.
   * @returns the subscription and how many messages that the topics kept are delivered with it.
   */
  subscribe(pattern: string, options?: SubscribeOptions): Promise<Subscribed>;
  /** @returns whether there was such a subscription. */
  unsubscribe(pattern: string, options?: Omit<SubscribeOptions, 'retained'>): Promise<boolean>;
}

export function createMessaging(context: AgentContext): Messaging & Pick<Subscriptions, 'renewAll'> {
  const subscriptions = createSubscriptions(context);
  return {
    send: (message, limit = {}) => sendOne(context, message, limit),
    sendMany: (messages, limit = {}) => sendMany(context, messages, limit),
    publish: (topic, content, limit = {}) => sendOne(context, { ...content, to: { topic } }, limit),
    broadcast: (clusterId, content, limit = {}) => sendOne(context, { ...content, to: { cluster: clusterId } }, limit),
    request: (to, content, limit = {}) => sendRequest(context, to, content, limit),
    reply: (message, reply, limit = {}) => sendReply(context, message, reply, limit),
    subscribe: (pattern, options = {}) => subscriptions.subscribe(pattern, options),
    unsubscribe: (pattern, options = {}) => subscriptions.unsubscribe(pattern, options),
    createTopic: (topic, limit = {}) =>
      persist(context, `Topic "${topic.name}" could not be created`, limit, (token, call) =>
        context.api.createTopic(token, topic, call),
      ),
    deleteTopic: (name, { mode = 'drain', ...limit } = {}) =>
      persist(context, `Topic "${name}" could not be deleted`, limit, (token, call) =>
        context.api.deleteTopic(token, name, mode, call),
      ),
    renewAll: subscriptions.renewAll,
  };
}
