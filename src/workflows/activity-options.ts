import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';

/** A worker that dies is noticed when its heartbeats stop for 5 s; a step that hangs, after 30 s. */
const step = { startToCloseTimeout: '30s', heartbeatTimeout: '5s' } as const;

/** The first retry follows after 0.2 s; the delay doubles up to 5 s. */
const retry = { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' } as const;

/**
 * Steps of form_cluster. A step is retried until the operation's deadline.
 * @param deadlineMs epoch milliseconds.
 * @param summary shown beside the step in the Temporal UI.
 */
export const formationSteps = (deadlineMs: number, summary: string) =>
  proxyActivities<Activities>({
    ...step,
    scheduleToCloseTimeout: Math.max(1_000, deadlineMs - Date.now()),
    retry,
    summary,
  });

/**
 * Steps of manage_communication. They have no deadline: a request is carried out as soon as the databases are reachable.
 * @param summary shown beside the step in the Temporal UI.
 */
export const communicationSteps = (summary: string) => proxyActivities<Activities>({ ...step, retry, summary });

/**
 * Steps of scale_cluster. Waits, drains and soaks are timers of the workflow, so no single call takes long.
 * @param summary shown beside the step in the Temporal UI.
 */
export const scalingSteps = (summary: string) =>
  proxyActivities<Activities>({ ...step, scheduleToCloseTimeout: '30m', retry, summary });

/** Compensations are retried without limit: a database outage of an hour must not leave agents reserved for ever. */
export const compensations = proxyActivities<Activities>({
  ...step,
  retry: { ...retry, maximumInterval: '10s' },
});

/** The work of intervals. An interval that fails is followed by the next one. */
export const intervalJobs = proxyActivities<Activities>({
  startToCloseTimeout: '5m',
  heartbeatTimeout: '10s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s', maximumAttempts: 5 },
});
