import { isDeepStrictEqual } from 'node:util';
import { capabilitiesOf, type ClustersDb } from '../stores/clusters/index.js';
import { closeInbox, openInbox } from '../stores/communication/index.js';
import type { MessagingDeps } from './deps.js';
import { reAddressAgentDeliveries } from './re-address-deliveries.js';

type RegisteringDeps = MessagingDeps & { readonly clusters: ClustersDb };

/**
 * Opens the inbox of a registered agent with its registered capabilities. Concurrent registrations may open it in any order,
 * so the capabilities are read again afterwards until they agree.
 */
export async function openAgentInbox(
  { clusters, communication }: Pick<RegisteringDeps, 'clusters' | 'communication'>,
  agentId: string,
): Promise<void> {
  let capabilities = await capabilitiesOf(clusters, agentId);
  while (capabilities) {
    await openInbox(communication, agentId, capabilities);
    const current = await capabilitiesOf(clusters, agentId);
    if (isDeepStrictEqual(current, capabilities)) return;
    capabilities = current;
  }
}

/**
 * Closes the inbox of an agent that has left and re-addresses its deliveries. The two databases change one after the
 * other, so the inbox of an agent that registered again in between is opened again.
 */
export async function retireInbox(deps: RegisteringDeps, agentId: string): Promise<void> {
  await closeInbox(deps.communication, agentId);
  if (await capabilitiesOf(deps.clusters, agentId)) await openAgentInbox(deps, agentId);
  else await reAddressAgentDeliveries(deps, agentId);
}
