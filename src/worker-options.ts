import type { WorkerOptions } from '@temporalio/worker';

/**
 * The options of every worker, in production, tests and benches. On a machine with two cores a workflow costs about 70 ms
 * of CPU, so 100 slots never limit the throughput; the cache holds as many workflows as fit into 512 MB.
 */
export const workerOptions = {
  maxConcurrentWorkflowTaskExecutions: 100,
  maxConcurrentActivityTaskExecutions: 100,
  maxCachedWorkflows: 500,
  // How long the cached workflows of a killed worker are reserved for it before another worker may run them.
  stickyQueueScheduleToStartTimeout: '2s',
  shutdownGraceTime: '20s',
  shutdownForceTime: '40s',
} as const satisfies Partial<WorkerOptions>;
