import { ScheduleAlreadyRunning, type Client, type ScheduleOptions } from '@temporalio/client';
import { attributesOf } from './search-attributes.js';
import { workflowTypes, type FormationIntervalInput } from '../contracts/workflow-inputs.js';

/** How often a job runs: every so many seconds, or by a cron expression in UTC. */
export type Interval = { readonly everySeconds: number } | { readonly cron: string };

export const scheduleIds = { formation: (managerId: string) => `${managerId}/formation-interval` } as const;

export interface IntervalSchedule {
  readonly managerId: string;
  readonly interval: Interval;
}

/**
 * Creates the formation interval's Schedule, or updates it in place. What an operator did by hand (a pause, its note)
 * stays. A run is skipped while the one before is still at it, and after an outage only the last minute is caught up.
 */
export async function ensureFormationSchedule(
  client: Client,
  { managerId, interval }: IntervalSchedule,
): Promise<void> {
  const options = {
    scheduleId: scheduleIds.formation(managerId),
    spec:
      'cron' in interval
        ? { cronExpressions: [interval.cron] }
        : { intervals: [{ every: `${interval.everySeconds}s` }] },
    action: {
      type: 'startWorkflow',
      workflowType: workflowTypes.formationInterval,
      taskQueue: managerId,
      workflowId: `${managerId}/formation-interval`,
      args: [{} satisfies FormationIntervalInput],
      workflowExecutionTimeout: '30m',
      typedSearchAttributes: attributesOf({ component: 'formation-interval' }),
      staticSummary: 'Repair short clusters, serve the queue, release expired reservations',
    },
    policies: { overlap: 'SKIP', catchupWindow: '1m', pauseOnFailure: false },
  } satisfies ScheduleOptions;
  try {
    await client.schedule.create(options);
  } catch (error) {
    if (!(error instanceof ScheduleAlreadyRunning)) throw error;
    await client.schedule
      .getHandle(options.scheduleId)
      .update((previous) => ({ ...previous, spec: options.spec, action: options.action, policies: options.policies }));
  }
}
