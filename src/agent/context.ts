import type { Heartbeat, Readiness } from '../contracts/agents.js';
import { ManagerError, type ErrorCode } from '../contracts/errors.js';
import type { AgentApi } from './agent-api.js';
import type { Emitter } from './emitter.js';
import type { Memberships } from './memberships.js';
import type { AgentEvents, AgentLogger, AgentSettings, InvitationHandler, MessageHandler } from './options.js';
import type { Nudge } from './pause.js';
import type { Standing } from './standing.js';

/** What an agent says of itself with each beat. */
export interface Says {
  readiness: Readiness;
  /** Told only until it was heard: a readiness that an operator set since must not be said away. */
  readinessIsNews: boolean;
  figures: Omit<Heartbeat, 'readiness'>;
}

/** What the loops of one agent share. */
export interface AgentContext {
  readonly settings: AgentSettings;
  readonly api: AgentApi;
  readonly standing: Standing;
  readonly memberships: Memberships;
  readonly events: Emitter<AgentEvents>;
  readonly logger: AgentLogger;
  readonly nudge: Nudge;
  readonly says: Says;
  readonly handlers: { message?: MessageHandler; invitation?: InvitationHandler };
  readonly nowMs: () => number;
}

export const hasCode = (error: unknown, ...codes: ErrorCode[]): boolean =>
  error instanceof ManagerError && codes.includes(error.code);

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
