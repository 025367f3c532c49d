import { capabilitiesOf, type ClustersDb } from '../stores/clusters/index.js';
import { closeInbox, openInbox } from '../stores/communication/index.js';
import type { MessagingDeps } from './deps.js';
import { reAddressAgentDeliveries } from './re-address-deliveries.js';

/**
 * Closes the inbox of an agent that has left and re-addresses its deliveries. The two databases change one after the
 * other, so the inbox of an agent that registered again in between is opened again.
 */
export async function retireInbox(
  deps: MessagingDeps & { readonly clusters: ClustersDb },
  agentId: string,
): Promise<void> {
  await closeInbox(deps.communication, agentId);
  const capabilities = await capabilitiesOf(deps.clusters, agentId);
  if (capabilities) await openInbox(deps.communication, agentId, capabilities);
  else await reAddressAgentDeliveries(deps, agentId);
}
