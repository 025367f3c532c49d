import { ScheduleAlreadyRunning, type Client, type ScheduleOptions } from '@temporalio/client';
import { attributesOf } from './search-attributes.js';
import { workflowTypes, type FormationIntervalInput, type ScalingIntervalInput } from '../contracts/workflow-inputs.js';

/** When a job runs: every so many seconds, or by a cron expression in UTC. */
export type Interval = { readonly everySeconds: number } | { readonly cron: string };

/** The two periodic jobs. */
export const jobs = {
  formation: {
    workflowType: workflowTypes.formationInterval,
    timeout: '30m',
    summary: 'Serve the queue, repair clusters below their minimum, release expired reservations',
  },
  scaling: {
    workflowType: workflowTypes.scalingInterval,
    timeout: '30m',
    summary: 'Assess all clusters, scale those that need it, rebalance between clusters',
  },
} as const;

export type Job = keyof typeof jobs;

export const scheduleIdOf = (managerId: string, job: Job): string => `${managerId}/${job}-interval`;

/**
 * Creates a job's Schedule, or updates it in place and keeps its state, such as an operator's pause. A run is skipped while
 * the one before is running, and after an outage only the last minute is caught up.
 */
export async function ensureSchedule(
  client: Client,
  { managerId, job, interval }: { readonly managerId: string; readonly job: Job; readonly interval: Interval },
): Promise<void> {
  const { workflowType, timeout, summary } = jobs[job];
  const options = {
    scheduleId: scheduleIdOf(managerId, job),
    spec:
      'cron' in interval
        ? { cronExpressions: [interval.cron] }
        : { intervals: [{ every: `${interval.everySeconds}s` }] },
    action: {
      type: 'startWorkflow',
      workflowType,
      taskQueue: managerId,
      workflowId: scheduleIdOf(managerId, job),
      args: [{} satisfies FormationIntervalInput & ScalingIntervalInput],
      workflowExecutionTimeout: timeout,
      typedSearchAttributes: attributesOf({ component: `${job}-interval` }),
      staticSummary: summary,
    },
    policies: { overlap: 'SKIP', catchupWindow: '1m', pauseOnFailure: false },
  } satisfies ScheduleOptions;
  try {
    await client.schedule.create(options);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    const { scheduleId, ...changed } = options;
    await client.schedule.getHandle(scheduleId).update((previous) => ({ ...previous, ...changed }));
  }
}
