import type { CommunicationSettings } from '../config/index.js';
import type { CommunicationDb } from '../stores/communication/index.js';

/** What the short way is made with, by the server as by the worker. */
export interface MessagingDeps {
  readonly communication: CommunicationDb;
  readonly settings: CommunicationSettings;
  /** Told after a commit who has mail now: a hint that spares waiting, never needed for it to arrive. */
  readonly wake: (agentIds: readonly string[]) => void;
}

/** Who sends: `source` is what recipients see. */
export interface MessageSender {
  readonly source: string;
  /** Null for operators and for the manager itself. */
  readonly agentId: string | null;
}
