import { parseCommunicationRequest, type CommunicationResult } from '../../contracts/communication.js';
import { acceptMessages } from '../../messaging/accept-messages.js';
import { saveStep } from '../../stores/clusters/index.js';
import { asActivity, thisAttempt } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';
import { operationOf, partOf, senderOf, type RouteMessagesInput } from './request.js';

const problemsShown = 100;

/**
 * Step 1 of manage_communication: accepts the request's messages and routes each to its recipients, by the same path as
 * a message that is posted.
 * @throws `InvalidRequest`, `CapabilityDisabled`, `IdempotencyConflict`, `NotFound` for a batch that is not there.
 */
export const routeMessages = (deps: ActivityDeps) =>
  asActivity(async (input: RouteMessagesInput): Promise<CommunicationResult['messages']> => {
    const { operationId } = input;
    const asked = operationOf(deps, input);
    const key = { operationId, step: 'routeMessages', round: 0 };
    return saveStep(
      deps.clusters,
      key,
      thisAttempt(),
      async (_tx, { operation: { requestedBy, request } }) => {
        const messages = await partOf(deps, 'messages', { spec: parseCommunicationRequest(request), requestedBy });
        const sender = senderOf(requestedBy);
        // Ids follow from the operation, so that an attempt that comes after one which was thought dead sends nothing twice.
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
          problems: [...refused, ...dead].slice(0, problemsShown),
        };
      },
      { accept: asked },
    );
  });
