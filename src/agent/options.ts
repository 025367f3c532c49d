import { registerAgent, type AgentRegistration } from '../contracts/agents.js';
import { ManagerError } from '../contracts/errors.js';
import { parseInput } from '../contracts/formation.js';
import type { AgentLogger } from './events.js';

/**
 * Everything that `POST /v1/agents` takes, and how to reach the manager. `maxClusters` defaults to 1, `acceptance` to
 * `auto`, `concurrency` to 1. `concurrency` messages are handled at once; those of one sender or one `partitionKey` are
 * always handled one after the other.
 */
export interface AgentOptions extends AgentRegistration {
  /** The manager's HTTP API: `http://127.0.0.1:8420`. */
  readonly url: string;
  /** An enrolment token, or the agent's own token from an earlier registration. */
  readonly token: string;
  readonly logger?: AgentLogger;
  /**
   * `stream` (default) receives deliveries over one open HTTP stream; `poll` uses long polls, for networks that buffer
   * streams. After two streams in a row that carried nothing, the agent polls by itself.
   */
  readonly receive?: 'stream' | 'poll';
  /** How long the server holds one poll of an empty inbox, in seconds, 0 to 60, default 20. A higher value means fewer polls. */
  readonly waitSeconds?: number;
  /**
   * Deliveries held at once, running or queued, 1 to 100. Default: the larger of 32 and twice `concurrency`. A higher value
   * needs fewer calls; with a lower one, fewer deliveries wait for their leases to expire when this process dies.
   */
  readonly batchSize?: number;
  /**
   * The agent registers again after a random time up to this, default 3000. A higher value spreads a large fleet; a lower
   * one brings an agent back sooner.
   */
  readonly registerAgainWithinMs?: number;
}

/**
 * The options with their defaults, and the registration in one part.
 * @throws ManagerError `invalid_request` that lists every problem; `unauthenticated` without a token.
 */
export function settingsOf(options: AgentOptions) {
  const { url, token, logger: _logger, receive = 'stream', waitSeconds = 20, ...others } = options;
  const { batchSize, registerAgainWithinMs = 3000, ...registration } = others;
  const parsed = parseInput(registerAgent, "The agent's registration", registration);
  if (!token) {
    throw new ManagerError('unauthenticated', 'The option "token" is empty; pass an enrolment token of the manager');
  }
  const defaultBatchSize = Math.min(Math.max(32, 2 * parsed.concurrency), 100);
  return {
    url,
    token,
    registration: parsed,
    receive,
    waitSeconds,
    batchSize: batchSize ?? defaultBatchSize,
    registerAgainWithinMs,
  };
}
