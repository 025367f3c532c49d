import type { CommunicationSettings } from '../config/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';

/** The dependencies of everything that accepts, routes or moves messages, in the server as in the worker. */
export interface MessagingDeps {
  readonly communication: CommunicationDb;
  /** The settings in force. */
  readonly settings: () => CommunicationSettings;
  /**
   * Called after a commit with the agents that have new deliveries. Delivery never depends on it: it only reduces
   * latency.
   */
  readonly notify: (agentIds: readonly string[]) => void;
  /** Logs a failure that does not concern the caller. */
  readonly warn: (message: string, error: unknown) => void;
}

/** The sender of a message. */
export interface MessageSender {
  /** What recipients see: an agent's id, or a path that no agent's id can be. */
  readonly source: string;
  /** Null for operators and for the manager itself. */
  readonly agentId: string | null;
}
