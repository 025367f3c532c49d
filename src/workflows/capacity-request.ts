import { ApplicationFailure, defineUpdate, setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { OperationId } from '../contracts/ids.js';
import type { CapacityUpdate } from '../contracts/scaling.js';
import { capacityUpdates } from '../contracts/workflow-inputs.js';
import { scalingSteps } from './activity-options.js';
import type { WakeUps } from './waiting.js';

/** The orchestrator's answer from any Temporal SDK. It is written as by HTTP, and then the run goes on. */
export function handleCapacityAnswers(operationId: OperationId, wakes: WakeUps): void {
  for (const [name, state] of [
    [capacityUpdates.grant, 'granted'],
    [capacityUpdates.deny, 'denied'],
  ] as const) {
    setHandler(
      defineUpdate<string, [CapacityUpdate]>(name),
      async ({ requestId, by = 'temporal', reason }) => {
        const answered = await scalingSteps(`${state} by ${by}`).answerResources({
          operationId,
          requestId,
          state,
          by,
          ...(reason === undefined ? {} : { reason }),
        });
        wakes.wake();
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

/** Waits for the orchestrator, durably, until its answer or the request's deadline. */
export async function waitForCapacityAnswer(
  asked: { readonly requestId: string; readonly seconds: number; readonly reason: string },
  wakes: WakeUps,
) {
  const endsAtMs = Date.now() + asked.seconds * 1_000;
  setCurrentDetails(
    `**Waiting for the orchestrator** until ${new Date(endsAtMs).toISOString()}: grant or deny ${asked.requestId} (${asked.reason})`,
  );
  for (;;) {
    const standing = await scalingSteps(`how ${asked.requestId} stands`).lookAtRequest({ requestId: asked.requestId });
    if (standing.state !== 'open') return standing;
    const leftMs = endsAtMs - Date.now();
    // A hair beyond the deadline, which is the database's.
    await wakes.orAfter(leftMs > 0 ? leftMs / 1_000 + 0.2 : 1, 'the orchestrator’s answer');
  }
}
