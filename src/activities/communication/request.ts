import { parseCommunicationRequest, type CommunicationSpec } from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import type { MessageSender } from '../../messaging/deps.js';
import type { OperationRow } from '../../stores/clusters/index.js';
import { findBatchPart } from '../../stores/communication/index.js';
import type { CommunicationDeps } from '../deps.js';

/** The sender in whose name an operation acts: an agent by its id, others by a path that no agent's id can be. */
export function senderOf(requestedBy: string): MessageSender {
  const [, party = '', id = ''] = /^([a-z]+):(.*)$/.exec(requestedBy) ?? [];
  return party === 'agent'
    ? { source: id, agentId: id }
    : { source: party === '' ? `/${requestedBy}` : `/${party}/${id}`, agentId: null };
}

/**
 * The messages or the broadcasts of a request: its own, or those of its stored batch, which were validated when stored.
 * @throws ManagerError `not_found` when there is no such batch, or it belongs to another agent.
 */
export async function partOf<Part extends 'messages' | 'broadcasts'>(
  { communication }: CommunicationDeps,
  part: Part,
  { request, requestedBy }: Pick<OperationRow, 'request' | 'requestedBy'>,
): Promise<CommunicationSpec[Part]> {
  const spec = parseCommunicationRequest(request);
  if (spec.batchId === undefined) return spec[part];
  const batch = await findBatchPart(communication, spec.batchId, part);
  const isForeign =
    batch && batch.owner !== requestedBy && [batch.owner, requestedBy].some((party) => party.startsWith('agent:'));
  if (!batch || isForeign) {
    throw new ManagerError(
      'not_found',
      `There is no batch "${spec.batchId}"; store it with POST /v1/message-batches first`,
    );
  }
  return batch.items as CommunicationSpec[Part];
}
