export { createAgent, type Agent } from './agent.js';
export { finalError } from './final-error.js';
export type { DeleteTopicMode, Subscribed, TopicDeleted } from './agent-api.js';
export type { KnownCluster } from './memberships.js';
export type { Messaging } from './messaging.js';
export type { TimeLimit } from './persist.js';
export type { Accepted, SendResult } from './sending.js';
export type { SubscribeOptions } from './subscriptions.js';
export type {
  AgentEvents,
  AgentLogger,
  AgentOptions,
  AgentStatus,
  Content,
  Handling,
  Invitation,
  InvitationHandler,
  LeftReason,
  MessageHandler,
  Reply,
} from './options.js';
