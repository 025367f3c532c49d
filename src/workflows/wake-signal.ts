import { ApplicationFailure, condition, defineSignal, setHandler } from '@temporalio/workflow';
import { failureTypeOf } from '../contracts/errors.js';
import { wakeSignal } from '../contracts/workflow-inputs.js';

export type WakeSignal = ReturnType<typeof receiveWakeSignal>;

/** Counts wake signals, so that none is missed between two waits. */
export function receiveWakeSignal() {
  let received = 0;
  let queueEndsMs = 0;
  const wake = (): void => {
    received += 1;
  };
  setHandler(defineSignal(wakeSignal), wake);
  const wait = async (timeoutMs: number, summary: string): Promise<boolean> => {
    const isWoken = await condition(() => received > 0, Math.max(1, timeoutMs), { summary });
    received = 0;
    return isWoken;
  };
  return {
    /** Ends the current wait from within the workflow. */
    wake,
    /**
     * Waits for a wake signal, at most `seconds`.
     * @param summary the reason of the wait, shown beside the timer in the Temporal UI.
     */
    orAfter: (seconds: number, summary: string): Promise<boolean> => wait(seconds * 1_000, summary),
    /**
     * Waits in the queue until the formation interval has reserved agents.
     * @throws ApplicationFailure `InsufficientAgents` after `queueSeconds`, over all rounds.
     */
    untilServed: async (queueSeconds: number, reason: string): Promise<void> => {
      queueEndsMs ||= Date.now() + queueSeconds * 1_000;
      if (await wait(queueEndsMs - Date.now(), 'agents to come')) return;
      throw ApplicationFailure.create({
        type: failureTypeOf('insufficient_agents'),
        message: `Queued for ${queueSeconds} s and still: ${reason}`,
        nonRetryable: true,
      });
    },
  };
}
