import type { OperationId } from '../../contracts/ids.js';
import { saveCapacityAnswer, findCapacityRequest } from '../../stores/resources/index.js';
import { asActivity } from '../shared/as-activity.js';
import type { ActivityDeps } from '../deps.js';

export interface AnswerCapacityRequestInput {
  readonly operationId: OperationId;
  readonly requestId: string;
  readonly state: 'granted' | 'denied';
  readonly by: string;
  readonly reason?: string;
}

/** How a request to the orchestrator stands. */
export interface CapacityRequestStatus {
  readonly state: 'open' | 'granted' | 'denied' | 'expired' | 'unknown';
  readonly reason: string;
}

/**
 * Writes the orchestrator's answer that came as a Temporal update: the same compare-and-set as by HTTP.
 * @throws `NotFound`, `StateConflict` when it was answered otherwise or its time is over.
 */
export const answerCapacityRequest = ({ resources }: ActivityDeps) =>
  asActivity(async ({ requestId, state, by, reason }: AnswerCapacityRequestInput): Promise<CapacityRequestStatus> => {
    const row = await saveCapacityAnswer(resources, requestId, {
      state,
      by,
      answer: reason === undefined ? {} : { reason },
    });
    return { state: row.state, reason: reason ?? '' };
  });

/** Looks at a request, for a run that was woken or whose time to wait is over. */
export const readCapacityRequest = ({ resources }: ActivityDeps) =>
  asActivity(async ({ requestId }: { readonly requestId: string }): Promise<CapacityRequestStatus> => {
    const row = await findCapacityRequest(resources, requestId);
    if (!row) return { state: 'unknown', reason: 'there is no such request any more' };
    const isLate = row.state === 'open' && row.deadlineAt.getTime() <= Date.now();
    const told = (row.answer as { readonly reason?: string } | null)?.reason;
    return { state: isLate ? 'expired' : row.state, reason: told ?? '' };
  });
