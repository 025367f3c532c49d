export { createAgent, type Agent } from './agent.js';
export type { KnownCluster } from './memberships.js';
export type {
  AgentEvents,
  AgentLogger,
  AgentOptions,
  AgentStatus,
  Handling,
  Invitation,
  InvitationHandler,
  LeftReason,
  MessageHandler,
} from './options.js';
