import type { IdentifyAgentsInput } from '../activities/formation/identify-agents.js';

type Target = IdentifyAgentsInput['for'];

/** The request is not validated yet: a value that is not a number gets the default here and is refused by the first step. */
const secondsOf = (target: Target, key: 'deadlineSeconds' | 'queueSeconds', defaultSeconds: number): number => {
  const value = 'request' in target ? (target.request as Record<string, unknown> | null)?.[key] : undefined;
  return typeof value === 'number' && value > 0 ? value : defaultSeconds;
};

/** When the current round must have ended, in epoch milliseconds. */
export const deadlineOf = (target: Target): number => Date.now() + secondsOf(target, 'deadlineSeconds', 120) * 1_000;

/** How long a request may wait in the queue, in seconds. */
export const queueSecondsOf = (target: Target): number => secondsOf(target, 'queueSeconds', 3_600);
