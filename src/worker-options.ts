import type { WorkerOptions } from '@temporalio/worker';

/**
 * How every worker of ours runs, in production, tests and benches. On a machine with two cores a workflow costs about
 * 70 ms of CPU, so 100 slots never stay empty for want of slots; the cache holds as many workflows as a worker of
 * 512 MB can keep.
 */
export const workerOptions = {
  maxConcurrentWorkflowTaskExecutions: 100,
  maxConcurrentActivityTaskExecutions: 100,
  maxCachedWorkflows: 500,
  // A killed worker's cached workflows are offered to it this long before another worker may take them.
  stickyQueueScheduleToStartTimeout: '2s',
  shutdownGraceTime: '20s',
  shutdownForceTime: '40s',
} as const satisfies Partial<WorkerOptions>;
