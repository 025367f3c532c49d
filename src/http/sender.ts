import type { MessageSender } from '../messaging/deps.js';
import type { Principal } from '../stores/clusters/index.js';
import { partyOf } from '../operations/requester.js';

/** The source that recipients see: an agent's id, or for other callers a path, which no agent's id can be. */
export const senderOf = (principal: Principal): MessageSender =>
  principal.agentId === null
    ? { source: `/${partyOf(principal)}/${principal.tokenId}`, agentId: null }
    : { source: principal.agentId, agentId: principal.agentId };
