import type { ManagerConfig } from '../config/index.js';
import type { Party } from '../contracts/endpoint.js';
import { ManagerError, requireEnabled } from '../contracts/errors.js';
import type { Principal } from '../stores/clusters/index.js';

/** A token's role, where a token of role `agent` that belongs to no agent yet is an enrolment token. */
export const partyOf = ({ role, agentId }: Principal): Party =>
  role === 'agent' && agentId === null ? 'enrolment' : role;

/** The requester as operations and dead letters record it: an agent by its id, which outlives its tokens; others by their token. */
export const requesterOf = (principal: Principal): string =>
  `${partyOf(principal)}:${principal.agentId ?? principal.tokenId}`;

const relationshipOf: Readonly<Record<string, string>> = { orchestrator: 'orchestrator', agent: 'all_agents' };

/**
 * Refuses a request whose capability or kind of caller is turned off in the configuration.
 * @throws ManagerError `relationship_refused`, `capability_disabled`.
 */
export function requireCapability(
  { config }: { readonly config: () => ManagerConfig },
  principal: Principal,
  capability: ManagerConfig['capabilities'][number],
): void {
  const { capabilities, relationships } = config();
  const relationship = relationshipOf[partyOf(principal)];
  if (relationship !== undefined && !relationships.some((listed) => listed === relationship)) {
    throw new ManagerError(
      'relationship_refused',
      `This manager accepts requests from ${relationships.join(', ')}; add "${relationship}" to cluster_manager.relationships`,
    );
  }
  requireEnabled(capabilities, capability);
}
