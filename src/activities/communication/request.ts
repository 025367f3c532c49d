import { parseCommunicationRequest, type CommunicationSpec } from '../../contracts/communication.js';
import { ManagerError } from '../../contracts/errors.js';
import type { OperationId } from '../../contracts/ids.js';
import { requestHash } from '../../contracts/request-hash.js';
import type { MessageSender } from '../../messaging/deps.js';
import type { NewOperation } from '../../stores/clusters/index.js';
import { findBatchPart } from '../../stores/communication/index.js';
import type { ActivityDeps } from '../deps.js';
import { requireCapability, requireOperationId } from '../shared/preconditions.js';

export interface RouteMessagesInput {
  readonly operationId: OperationId;
  readonly workflowId: string;
  /** As the caller wrote it, unread. */
  readonly request: unknown;
}

/**
 * The operation that a request asks for, checked.
 * @throws ManagerError `capability_disabled`, `invalid_request` with every problem.
 */
export function operationOf(
  deps: ActivityDeps,
  { operationId, workflowId, request }: RouteMessagesInput,
): NewOperation {
  requireCapability(deps, 'communication_management', 'manage communication');
  requireOperationId(operationId);
  parseCommunicationRequest(request);
  return {
    id: operationId,
    kind: 'COMMUNICATION',
    clusterId: '',
    workflowId,
    request,
    requestHash: requestHash('COMMUNICATION', request),
    requestedBy: 'temporal',
  };
}

/** Who an operation speaks for: an agent by its id, others by a source that no agent's id can be. */
export function senderOf(requestedBy: string): MessageSender {
  const [, party = '', id = ''] = /^([a-z]+):(.*)$/.exec(requestedBy) ?? [];
  return party === 'agent'
    ? { source: id, agentId: id }
    : { source: party === '' ? `/${requestedBy}` : `/${party}/${id}`, agentId: null };
}

/**
 * The messages or the broadcasts of a request, wherever they are. What was stored was checked before it was.
 * @throws ManagerError `not_found` when its batch is not there, or is an agent's and another asks.
 */
export async function partOf<Part extends 'messages' | 'broadcasts'>(
  { communication }: ActivityDeps,
  part: Part,
  { spec, requestedBy }: { readonly spec: CommunicationSpec; readonly requestedBy: string },
): Promise<CommunicationSpec[Part]> {
  if (spec.batchId === undefined) return spec[part];
  const batch = await findBatchPart(communication, spec.batchId, part);
  const isForeign =
    batch && batch.owner !== requestedBy && [batch.owner, requestedBy].some((who) => who.startsWith('agent:'));
  if (!batch || isForeign) {
    throw new ManagerError(
      'not_found',
      `There is no batch "${spec.batchId}"; store it with POST /v1/message-batches first`,
    );
  }
  return batch.items as CommunicationSpec[Part];
}
