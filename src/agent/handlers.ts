import type { InvitationAnswer } from '../contracts/agents.js';
import type { MessageView } from '../contracts/inbox.js';
import type { NewMessage } from '../contracts/messages.js';

export interface Handling {
  /** 1 for the first delivery; higher when an earlier one was not acknowledged. */
  readonly attempt: number;
  /** Aborted when the agent stops or loses the delivery's lease: stop long work then. */
  readonly signal: AbortSignal;
}

/** A message without its address. */
export type Content = Omit<NewMessage, 'to'>;
/** The content of a reply; the library fills in its address and correlation id. */
export type Reply = Omit<Content, 'correlationId'>;

/**
 * Handles one message; the library extends the delivery's lease meanwhile. When it resolves, the message is acknowledged.
 * A value that it resolves with is sent first, as the reply, if the message asks for one. When it throws, the message is
 * negatively acknowledged with the error's text and redelivered later; after a final error, such as a `finalError`, it is
 * dead-lettered.
 */
export type MessageHandler = (message: MessageView, handling: Handling) => void | Reply | Promise<void | Reply>;

/** An invitation to join a cluster that is being formed. */
export interface Invitation {
  readonly clusterId: string;
  /** The cluster's name, its requirements and the roles asked for. */
  readonly data: unknown;
}

export type InvitationHandler = (
  invitation: Invitation,
  handling: Handling,
) => InvitationAnswer | Promise<InvitationAnswer>;
