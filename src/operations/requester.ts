import type { Party } from '../contracts/endpoint.js';
import type { Principal } from '../stores/clusters/index.js';

/** A token's role, where a token of role `agent` that belongs to no agent yet is an enrolment token. */
export const partyOf = ({ role, agentId }: Principal): Party =>
  role === 'agent' && agentId === null ? 'enrolment' : role;

/** The requester as operations and dead letters record it: an agent by its id, which outlives its tokens; others by their token. */
export const requesterOf = (principal: Principal): string =>
  `${partyOf(principal)}:${principal.agentId ?? principal.tokenId}`;
