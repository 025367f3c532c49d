import { ApplicationFailure, condition, defineSignal, setHandler } from '@temporalio/workflow';
import type { IdentifyAgentsInput } from '../activities/formation/identify-agents.js';
import { failureTypeOf } from '../contracts/errors.js';
import { wakeSignal } from '../contracts/workflow-inputs.js';

/** The request was not validated yet when these are read: what is not a number gets the default, and fails in the first step. */
const secondsOf = (
  what: IdentifyAgentsInput['for'],
  key: 'deadlineSeconds' | 'queueSeconds',
  otherwise: number,
): number => {
  const value = 'request' in what ? (what.request as Record<string, unknown> | null)?.[key] : undefined;
  return typeof value === 'number' && value > 0 ? value : otherwise;
};

/** When this try must have ended, in epoch milliseconds. */
export const deadlineOf = (what: IdentifyAgentsInput['for']): number =>
  Date.now() + secondsOf(what, 'deadlineSeconds', 120) * 1_000;

/** How long a request may wait in the queue, in seconds. */
export const queueOf = (what: IdentifyAgentsInput['for']): number => secondsOf(what, 'queueSeconds', 3_600);

export type WakeUps = ReturnType<typeof wakeUps>;

/** Counts the signals that say "look again", so that none is missed between two waits. */
export function wakeUps() {
  let woken = 0;
  let queueEndsMs = 0;
  setHandler(defineSignal(wakeSignal), () => {
    woken += 1;
  });
  const next = async (timeoutMs: number, summary: string): Promise<boolean> => {
    const isWoken = await condition(() => woken > 0, Math.max(1, timeoutMs), { summary });
    woken = 0;
    return isWoken;
  };
  return {
    /** Says "look again" from within. */
    wake: (): void => {
      woken += 1;
    },
    /**
     * Waits for a wake-up, at most so many seconds.
     * @param summary what is waited for, shown beside the timer in the Temporal UI.
     */
    orAfter: (seconds: number, summary: string): Promise<boolean> => next(seconds * 1_000, summary),
    /**
     * Waits in the queue until the formation interval says to look again.
     * @returns what `restart` gives: the deadline of the next try.
     */
    untilServed: async (queueSeconds: number, reason: string, restart: () => number): Promise<number> => {
      queueEndsMs ||= Date.now() + queueSeconds * 1_000;
      if (await next(queueEndsMs - Date.now(), 'agents to come')) return restart();
      throw ApplicationFailure.create({
        type: failureTypeOf('insufficient_agents'),
        message: `Queued for ${queueSeconds} s and still: ${reason}`,
        nonRetryable: true,
      });
    },
  };
}
