import { proxyActivities } from '@temporalio/workflow';
import type { CommunicationActivities } from '../activities/communication/index.js';
import type { ScalingActivities } from '../activities/scaling/index.js';
import type { FormationActivities } from '../activities/formation/index.js';

/**
 * A step is tried again until the operation's deadline: 0.2 s after a failure, then twice as long each time, 5 s at
 * most. A worker that dies is noticed when its heartbeats stop for 5 s; a step that hangs, after 30 s.
 * @param deadlineMs epoch milliseconds.
 * @param summary what this call is about, shown beside the step in the Temporal UI.
 */
export const stepsUntil = (deadlineMs: number, summary: string): FormationActivities =>
  proxyActivities<FormationActivities>({
    startToCloseTimeout: '30s',
    heartbeatTimeout: '5s',
    scheduleToCloseTimeout: Math.max(1_000, deadlineMs - Date.now()),
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    summary,
  });

/**
 * Steps of manage_communication have no deadline: what was asked for is carried out as soon as the databases are there.
 * @param summary what this call is about, shown beside the step in the Temporal UI.
 */
export const communicationSteps = (summary: string): CommunicationActivities =>
  proxyActivities<CommunicationActivities>({
    startToCloseTimeout: '30s',
    heartbeatTimeout: '5s',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    summary,
  });

export const scalingJobs = proxyActivities<ScalingActivities>({
  startToCloseTimeout: '2m',
  heartbeatTimeout: '10s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s', maximumAttempts: 5 },
});

/**
 * Steps of scale_cluster. Waiting, draining and soaking are the workflow's timers, so no single call takes long.
 * @param summary what this call is about, shown beside the step in the Temporal UI.
 */
export const scalingSteps = (summary: string): ScalingActivities =>
  proxyActivities<ScalingActivities>({
    startToCloseTimeout: '30s',
    heartbeatTimeout: '5s',
    scheduleToCloseTimeout: '30m',
    retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '5s' },
    summary,
  });

/** Undoing is never given up: what stays reserved because a database was away for an hour would stay for ever. */
export const compensations = proxyActivities<FormationActivities & Pick<ScalingActivities, 'undoScaling'>>({
  startToCloseTimeout: '30s',
  heartbeatTimeout: '5s',
  retry: { initialInterval: '200ms', backoffCoefficient: 2, maximumInterval: '10s' },
});

export const jobs = proxyActivities<FormationActivities>({
  startToCloseTimeout: '5m',
  heartbeatTimeout: '10s',
  retry: { initialInterval: '1s', backoffCoefficient: 2, maximumInterval: '30s', maximumAttempts: 5 },
});
