import type { ManagerConfig } from '../config/index.js';
import { ManagerError, requireEnabled } from '../contracts/errors.js';
import type { Principal } from '../stores/clusters/index.js';
import { partyOf } from './requester.js';

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
