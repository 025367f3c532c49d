import type { OperationId } from '../../contracts/ids.js';
import type { CapacityUpdate } from '../../contracts/scaling.js';
import { findCapacityRequest, saveCapacityAnswer, type CapacityRequestRow } from '../../stores/resources/index.js';
import type { ScalingDeps } from '../deps.js';

interface AnswerCapacityRequestInput extends CapacityUpdate {
  readonly operationId: OperationId;
  readonly state: 'granted' | 'denied';
  readonly by: string;
}

interface CapacityRequestStatus {
  readonly state: CapacityRequestRow['state'] | 'unknown';
  readonly reason: string;
}

/**
 * Stores the orchestrator's answer that came as a Temporal update: the same compare-and-set as over HTTP.
 * @throws `NotFound`, `StateConflict` when it was answered differently or has expired.
 */
export async function answerCapacityRequest(
  { resources }: ScalingDeps,
  { requestId, state, by, reason }: AnswerCapacityRequestInput,
): Promise<CapacityRequestStatus> {
  const answer = reason === undefined ? {} : { reason };
  const row = await saveCapacityAnswer(resources, requestId, { state, by, answer });
  return { state: row.state, reason: reason ?? '' };
}

/** Reads the status of a capacity request, for a run that was woken or whose wait has ended. */
export async function readCapacityRequest(
  { resources }: Pick<ScalingDeps, 'resources'>,
  { requestId }: { readonly requestId: string },
): Promise<CapacityRequestStatus> {
  const row = await findCapacityRequest(resources, requestId);
  if (!row) return { state: 'unknown', reason: 'the request no longer exists' };
  const isExpired = row.state === 'open' && row.deadlineAt.getTime() <= Date.now();
  const { reason = '' } = (row.answer ?? {}) as { readonly reason?: string };
  return { state: isExpired ? 'expired' : row.state, reason };
}
