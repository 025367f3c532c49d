import { reAddressAgentDeliveries } from './re-address-deliveries.js';
import { capabilitiesOf } from '../stores/clusters/index.js';
import { closeInbox, openInbox } from '../stores/communication/index.js';
import type { ApiDeps } from '../http/deps.js';

/**
 * Closes the inbox of an agent that has left and gives its mail to whoever can stand in for it. The two databases change
 * one after the other, so an agent that came back in between gets its inbox back.
 */
export async function retireInbox(
  deps: Pick<ApiDeps, 'clusters' | 'communication' | 'messaging'>,
  agentId: string,
): Promise<void> {
  await closeInbox(deps.communication, agentId);
  const capabilities = await capabilitiesOf(deps.clusters, agentId);
  if (capabilities) await openInbox(deps.communication, agentId, capabilities);
  else await reAddressAgentDeliveries(deps.messaging(), agentId);
}
