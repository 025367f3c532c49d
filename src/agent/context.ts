import type { Heartbeat, Readiness } from '../contracts/agents.js';
import { ManagerError, type ErrorCode } from '../contracts/errors.js';
import type { AgentApi } from './agent-api.js';
import type { Emitter } from './emitter.js';
import type { Memberships } from './memberships.js';
import type { AgentEvents, AgentLogger, AgentSettings, InvitationHandler, MessageHandler } from './options.js';
import type { Nudge } from './pause.js';
import type { PendingRequests } from './pending-requests.js';
import type { ServerClock } from './server-clock.js';
import type { Standing } from './standing.js';

/** What an agent says of itself with each beat. */
export interface Says {
  readiness: Readiness;
  /** Told only until it was heard: a readiness that an operator set since must not be said away. */
  readinessIsNews: boolean;
  figures: Omit<Heartbeat, 'readiness'>;
}

/** The life of one agent, in the signals that end what belongs to it. */
export interface Life {
  /** Whether `start()` was called. */
  hasBegun(): boolean;
  /** Aborted when the agent stops: nothing new is begun. */
  readonly signal: AbortSignal;
  /** Aborted after that: until then the last words are said, such as acks of what was handled. */
  readonly grace: AbortSignal;
  /** Says that no handler is at work any more, so that the last words may not take much longer. */
  beginGrace(): void;
}

/** What the loops of one agent share. */
export interface AgentContext {
  readonly settings: AgentSettings;
  readonly api: AgentApi;
  readonly life: Life;
  readonly standing: Standing;
  readonly clock: ServerClock;
  readonly memberships: Memberships;
  readonly requests: PendingRequests;
  readonly events: Emitter<AgentEvents>;
  readonly logger: AgentLogger;
  /** For the heartbeat that should not wait. */
  readonly nudge: Nudge;
  readonly says: Says;
  readonly handlers: { message?: MessageHandler; invitation?: InvitationHandler };
  readonly nowMs: () => number;
}

export const hasCode = (error: unknown, ...codes: ErrorCode[]): boolean =>
  error instanceof ManagerError && codes.includes(error.code);

/** Refusals that the same call may be spared a moment later. */
export const isPassing = (error: unknown): boolean =>
  hasCode(error, 'service_unavailable', 'too_many_requests', 'mailbox_full', 'internal');

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
