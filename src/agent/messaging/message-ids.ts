import { createHash } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';
import type { MessageView } from '../../contracts/inbox.js';

/** `msg_` and a UUIDv7: its time prefix keeps consecutive ids together in the database's index. */
export const newMessageId = (): string => `msg_${uuidv7()}`;

/** Message ids are unique for each source only. */
export const messageKeyOf = ({ source, id }: Pick<MessageView, 'source' | 'id'>): string => `${source}\n${id}`;

/** Derived from the message: a handler that runs again after a crash sends the same reply, which is delivered once. */
export const replyIdOf = (message: Pick<MessageView, 'source' | 'id'>): string =>
  `re_${createHash('sha256').update(messageKeyOf(message)).digest('hex').slice(0, 40)}`;
