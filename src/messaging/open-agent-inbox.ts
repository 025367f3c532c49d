import { isDeepStrictEqual } from 'node:util';
import { capabilitiesOf, type ClustersDb } from '../stores/clusters/index.js';
import { openInbox, type CommunicationDb } from '../stores/communication/index.js';

/**
 * Opens the inbox of a registered agent with its registered capabilities. Concurrent registrations may open it in any order,
 * so the capabilities are read again afterwards until they agree.
 */
export async function openAgentInbox(
  { clusters, communication }: { readonly clusters: ClustersDb; readonly communication: CommunicationDb },
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
