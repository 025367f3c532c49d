import { registerAgent, type InvitationAnswer, type Readiness } from '../contracts/agents.js';
import type { RegisterAgent } from '../contracts/agents.js';
import type { AgentRegistration } from '../contracts/api-answers.js';
import { ManagerError } from '../contracts/errors.js';
import { problemsOf } from '../contracts/formation.js';
import type { DeliveryView, MessageView } from '../contracts/inbox.js';
import type { NewMessage } from '../contracts/messages.js';
import type { KnownCluster } from './memberships.js';

/** What the library says of itself, in pino's shape: facts first, then a constant message. Tokens are never among the facts. */
export interface AgentLogger {
  debug(facts: object, message: string): void;
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/**
 * Everything `POST /v1/agents` takes, plus how to reach the manager. `maxClusters` defaults to 1, `acceptance` to
 * `auto`, `concurrency` to 1: so many messages are handled at once, those of one sender or one `partitionKey` always one
 * after the other.
 */
export interface AgentOptions extends AgentRegistration {
  /** The manager's HTTP API: `http://127.0.0.1:8420`. */
  readonly url: string;
  /** An enrolment token, or the agent's own token of an earlier registration. */
  readonly token: string;
  readonly logger?: AgentLogger;
  /**
   * How mail comes: by a stream that stays open (default), or by one question after the other, for networks that hold
   * streams back. Where two streams in a row bring nothing, the agent asks by itself.
   */
  readonly receive?: 'stream' | 'poll';
  /** How long one question for mail waits at the server, 0 to 60, default 20. Longer costs nothing but an open connection. */
  readonly waitSeconds?: number;
  /**
   * Deliveries held at once, handled or waiting for it, 1 to 100, default the larger of 32 and twice `concurrency`. More
   * are fewer calls; fewer are handed to another run sooner when this one dies.
   */
  readonly batchSize?: number;
  /** The agent registers again after a random time up to this, default 3000. Higher spreads a large fleet; lower is back sooner. */
  readonly registerAgainWithinMs?: number;
}

export interface Handling {
  /** 1 at the first hand-over; more when an earlier one was not acked. */
  readonly attempt: number;
  /** Aborted when the agent stops or another attempt has the message: long work should end then. */
  readonly signal: AbortSignal;
}

/** A message without its address. */
export type Content = Omit<NewMessage, 'to'>;
/** What a message is answered with; whom it goes to and what it answers is known. */
export type Reply = Omit<Content, 'correlationId'>;

/**
 * Handles one message, whose lease is prolonged meanwhile. When it resolves the message is acked; what it resolves with
 * is sent before as the reply, if the message asks for one. When it throws, the message is given back with the error's
 * text and comes again after a while; after an error that is marked `final`, such as a `finalError`, it does not.
 */
export type MessageHandler = (message: MessageView, handling: Handling) => void | Reply | Promise<void | Reply>;

/** An invitation to join a cluster that is being formed. */
export interface Invitation {
  readonly clusterId: string;
  /** What the manager says about the cluster: its name, what it needs, the role asked for. */
  readonly data: unknown;
}

export type InvitationHandler = (
  invitation: Invitation,
  handling: Handling,
) => InvitationAnswer | Promise<InvitationAnswer>;

/** Why an agent left a cluster. `missed`: it learnt so from a heartbeat, the message itself never reached it. */
export type LeftReason = 'removed' | 'dissolved' | 'missed';

export interface AgentEvents {
  readonly registered: { readonly incarnation: number; readonly leaseSeconds: number; readonly again: boolean };
  readonly joined: { readonly cluster: KnownCluster };
  readonly changed: { readonly cluster: KnownCluster };
  readonly left: { readonly clusterId: string; readonly reason: LeftReason };
  /** A delivery came, before it is handled. It comes again, with another lease, until its ack was confirmed. */
  readonly received: { readonly delivery: DeliveryView };
  /** The manager confirmed the ack of a delivery: it does not come again. */
  readonly acked: { readonly deliveryId: string; readonly leaseToken: string };
  /** Nothing renewed the lease in time: others may have this agent's work now. Nothing is handed over until it is registered again. */
  readonly 'lost-lease': { readonly silentMs: number };
  /** The manager answers again after it did not. */
  readonly reconnected: { readonly silentMs: number };
  readonly error: Error;
}

export interface AgentStatus {
  readonly id: string;
  /** `unavailable`: not registered now, whatever `readiness` says. */
  readonly state: 'new' | 'registered' | 'unavailable' | 'stopped';
  readonly readiness: Readiness;
  readonly incarnation: number;
  readonly clusters: readonly string[];
}

export interface AgentSettings {
  readonly url: string;
  readonly token: string;
  readonly registration: RegisterAgent;
  readonly concurrency: number;
  readonly receive: 'stream' | 'poll';
  readonly waitSeconds: number;
  readonly batchSize: number;
  readonly registerAgainWithinMs: number;
}

const silent = (): void => undefined;
export const silentLogger: AgentLogger = { debug: silent, info: silent, warn: silent, error: silent };

/** @throws ManagerError `invalid_request` that lists every problem. */
export function settingsOf(options: AgentOptions): AgentSettings {
  const {
    url,
    token,
    logger: _logger,
    receive = 'stream',
    waitSeconds = 20,
    batchSize,
    registerAgainWithinMs = 3000,
    ...agent
  } = options;
  const parsed = registerAgent.safeParse(agent);
  if (!parsed.success) {
    const problems = problemsOf(parsed.error);
    throw new ManagerError(
      'invalid_request',
      `The agent's options have problems: ${problems.map((p) => `${p.path}: ${p.message}`).join('; ')}`,
      { problems },
    );
  }
  if (!token) {
    throw new ManagerError(
      'unauthenticated',
      'The agent was given no token; give it an enrolment token of the manager',
    );
  }
  const { concurrency } = parsed.data;
  return {
    url,
    token,
    registration: parsed.data,
    concurrency,
    receive,
    waitSeconds,
    batchSize: batchSize ?? Math.min(Math.max(32, 2 * concurrency), 100),
    registerAgainWithinMs,
  };
}
