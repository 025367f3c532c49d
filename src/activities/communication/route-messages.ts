import { parseCommunicationRequest, type CommunicationResult } from '../../contracts/communication.js';
import { acceptMessages } from '../../messaging/accept-messages.js';
import { findOperation } from '../../stores/clusters/index.js';
import type { CommunicationDeps } from '../deps.js';
import { newOperation, type RequestInput } from '../shared/preconditions.js';
import { runStep } from '../shared/run-step.js';
import { partOf, senderOf } from './request.js';

const maxProblems = 100;

/**
 * Step 1 of manage_communication: accepts the request's messages and routes each to its recipients, as the fast path does.
 * @throws `InvalidRequest`, `CapabilityDisabled`, `IdempotencyConflict`, `NotFound` for a batch that does not exist.
 */
export async function routeMessages(
  deps: CommunicationDeps,
  input: RequestInput,
): Promise<CommunicationResult['messages']> {
  const { operationId } = input;
  const accept = newOperation('COMMUNICATION', deps.settings, input, () => {
    parseCommunicationRequest(input.request);
    return '';
  });
  // Of a new operation the messages are read before its row is written: without its batch there is no operation.
  const isKnown = (await findOperation(deps.clusters, operationId)) !== undefined;
  const messagesOfNew = isKnown ? undefined : await partOf(deps, 'messages', accept);
  const key = { operationId, step: 'routeMessages', round: 0 };
  return runStep(
    deps.clusters,
    key,
    async ({ operation }) => {
      const messages = messagesOfNew ?? (await partOf(deps, 'messages', operation));
      const sender = senderOf(operation.requestedBy);
      // Ids derive from the operation, so that a second attempt sends nothing twice.
      const results = await acceptMessages(
        deps.messaging,
        messages.map((message, place) => ({
          sender,
          operationId,
          message: { ...message, id: message.id ?? `${operationId}.m${place}` },
        })),
      );
      const refused = results.filter((result) => !result.accepted);
      const dead = results.filter((result) => result.accepted && result.deadLetter !== undefined);
      return {
        accepted: results.length - refused.length,
        refused: refused.length,
        deadLettered: dead.length,
        problems: [...refused, ...dead].slice(0, maxProblems),
      };
    },
    { accept },
  );
}
