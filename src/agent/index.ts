export { createAgent, type Agent } from './agent.js';
export type { TimeLimit } from './connection/retry.js';
export type { AgentEvents, AgentLogger, AgentStatus, KnownCluster, LeftReason } from './events.js';
export { finalError } from './errors.js';
export type { Content, Handling, Invitation, InvitationHandler, MessageHandler, Reply } from './handlers.js';
export type { DeleteTopicMode, Messaging, TopicDeleted } from './messaging/messaging.js';
export type { Accepted, SendResult } from './messaging/send.js';
export type { Subscribed, SubscribeOptions } from './messaging/subscriptions.js';
export type { AgentOptions } from './options.js';
