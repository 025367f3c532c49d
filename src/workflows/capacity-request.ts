import { ApplicationFailure, defineUpdate, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { CapacityRequest } from '../activities/scaling/scaling-run.js';
import type { OperationId } from '../contracts/ids.js';
import type { CapacityUpdate } from '../contracts/scaling.js';
import { capacityUpdates } from '../contracts/workflow-inputs.js';
import { scalingSteps } from './activity-options.js';
import type { WakeSignal } from './wake-signal.js';

/** Receives the orchestrator's answers as Temporal updates. An answer is stored as over HTTP, then the run continues. */
export function receiveCapacityAnswers(operationId: OperationId, { wake }: WakeSignal): void {
  for (const [name, state] of [
    [capacityUpdates.grant, 'granted'],
    [capacityUpdates.deny, 'denied'],
  ] as const) {
    setHandler(
      defineUpdate<string, [CapacityUpdate]>(name),
      async ({ requestId, by = 'temporal', reason }) => {
        const answer = { operationId, requestId, state, by, ...(reason === undefined ? {} : { reason }) };
        const answered = await scalingSteps(`${state} by ${by}`).answerCapacityRequest(answer);
        wake();
        return answered.state;
      },
      {
        validator: (update) => {
          if (typeof update?.requestId === 'string' && update.requestId.startsWith(`rr_${operationId}_`)) return;
          throw ApplicationFailure.nonRetryable(
            `requestId is ${JSON.stringify(update?.requestId)}; it must be one of this run's, which begin with rr_${operationId}_`,
            'InvalidRequest',
          );
        },
      },
    );
  }
}

/** Waits durably for the orchestrator's answer, until the request's deadline. @returns whether it was granted. */
export async function isCapacityGranted(
  { requestId, seconds, reason }: CapacityRequest,
  wake: WakeSignal,
): Promise<boolean> {
  const endsAtMs = Date.now() + seconds * 1_000;
  setCurrentDetails(
    `**Waiting for the orchestrator** until ${new Date(endsAtMs).toISOString()}: grant or deny ${requestId} (${reason})`,
  );
  for (;;) {
    const { state } = await scalingSteps(`status of ${requestId}`).readCapacityRequest({ requestId });
    if (state !== 'open') return state === 'granted';
    const leftMs = endsAtMs - Date.now();
    // The deadline is the database's clock: wait slightly longer.
    await wake.orAfter(leftMs > 0 ? leftMs / 1_000 + 0.2 : 1, 'the orchestrator’s answer');
  }
}
