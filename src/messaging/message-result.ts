import { messageLimitBytes, type MessageResult } from '../contracts/messages.js';
import type { AcceptOutcome } from '../stores/communication/index.js';
import type { Draft, Routed } from './message-draft.js';

const retryAfterSeconds = 5;

/** The result of a message that was routed and given to the database. */
export function resultOf({ id, message }: Draft, route: Routed, { outcome, matched }: AcceptOutcome): MessageResult {
  switch (outcome) {
    case 'conflict':
      return conflict(id);
    case 'full': {
      const detail = `The mailbox of "${route.recipients[0]?.agentId}" is full; send this message again later`;
      return { id, accepted: false, error: { code: 'mailbox_full', detail, retryAfterSeconds } };
    }
    case 'duplicate':
      return { id, accepted: true, matched, duplicate: true };
    case 'accepted': {
      const unknownAgent = matched === 0 && 'agent' in message.to ? 'unknown_recipient' : undefined;
      const deadLetter = route.dead?.reason ?? unknownAgent;
      return { id, accepted: true, matched, ...(deadLetter === undefined ? {} : { deadLetter }) };
    }
  }
}

/** The result of a message whose key an earlier message of the same call has. */
export function repeatedResult(draft: Draft, first: Draft, result: MessageResult | undefined): MessageResult {
  if (draft.hash !== first.hash) return conflict(draft.id);
  if (!result) throw new Error(`Message ${draft.id} got no result`);
  return result.accepted ? { ...result, duplicate: true } : result;
}

export const rejection = (id: string, code: string, detail: string): MessageResult => ({
  id,
  accepted: false,
  error: { code, detail },
});

const conflict = (id: string): MessageResult =>
  rejection(id, 'idempotency_conflict', `"${id}" is the id of another message of this sender; use a new id`);

export const tooLarge = ({ id, data }: Draft): MessageResult =>
  rejection(
    id,
    'body_too_large',
    `The data of "${id}" has ${Buffer.byteLength(data)} bytes, ${messageLimitBytes} are allowed; store it elsewhere and ` +
      'send its location',
  );
