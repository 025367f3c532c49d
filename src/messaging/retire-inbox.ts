import { capabilitiesOf, type ClustersDb } from '../stores/clusters/index.js';
import { closeInbox } from '../stores/communication/index.js';
import type { MessagingDeps } from './deps.js';
import { openAgentInbox } from './open-agent-inbox.js';
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
  if (await capabilitiesOf(deps.clusters, agentId)) await openAgentInbox(deps, agentId);
  else await reAddressAgentDeliveries(deps, agentId);
}
