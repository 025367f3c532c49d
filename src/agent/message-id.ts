import { createHash, randomBytes, randomUUID } from 'node:crypto';
import type { MessageView } from '../contracts/inbox.js';

/** `msg_` and a UUIDv7: ids that were made one after the other lie side by side in the database's index. */
export function newMessageId(nowMs = Date.now()): string {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(nowMs, 0, 6);
  bytes[6] = 0x70 | ((bytes[6] ?? 0) & 0x0f);
  bytes[8] = 0x80 | ((bytes[8] ?? 0) & 0x3f);
  return `msg_${bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')}`;
}

/** Two senders may use one id for their messages: only both together name a message. */
export const keyOf = ({ source, id }: Pick<MessageView, 'source' | 'id'>): string => `${source}\n${id}`;

/** Derived, not drawn: a handler that runs again after a crash sends the same reply, which is delivered once. */
export const replyIdOf = (message: Pick<MessageView, 'source' | 'id'>): string =>
  `re_${createHash('sha256').update(keyOf(message)).digest('hex').slice(0, 40)}`;

const requestPrefix = (agentId: string): string => `request:${agentId}:`;
export const newCorrelationId = (agentId: string): string => `${requestPrefix(agentId)}${randomUUID()}`;
/** Whether a request of this agent, of this process or an earlier one, made the correlation id. */
export const isOwnCorrelationId = (agentId: string, correlationId: string): boolean =>
  correlationId.startsWith(requestPrefix(agentId));
