import { recordServer, removeServer } from '../stores/clusters/index.js';
import type { Logger } from '../telemetry/index.js';
import { agentStatusSync } from './agent-status-sync.js';
import type { MaintenanceDeps } from './deps.js';
import { expireLeases } from './lease-expirer.js';
import { pruneMessages } from './message-cleaner.js';
import { expireMessagesAndSubscriptions } from './message-expirer.js';
import { rescueOperations } from './operation-rescuer.js';
import { pruneResources } from './resource-cleaner.js';
import { urgentScaling } from './urgent-scaling.js';
import { usageSampler } from './usage-sampler.js';

interface PeriodicTask {
  /** A verb phrase for the log. */
  readonly name: string;
  /** From the end of a run to the start of the next. */
  readonly periodMs: number;
  readonly run: () => Promise<unknown>;
}

/** Everything that a server does periodically. Any number of servers may run all of it at the same time. */
const tasksOf = (deps: MaintenanceDeps): readonly PeriodicTask[] => [
  { name: 'record server presence', periodMs: 5_000, run: () => recordServer(deps.clusters, deps.serverId) },
  { name: 'resume abandoned operations', periodMs: 10_000, run: () => rescueOperations(deps) },
  { name: 'synchronize agent status', periodMs: 2_000, run: agentStatusSync(deps) },
  { name: 'expire messages and subscriptions', periodMs: 5_000, run: () => expireMessagesAndSubscriptions(deps) },
  { name: 'expire leases of resources', periodMs: 5_000, run: () => expireLeases(deps) },
  {
    name: 'scale urgent clusters',
    periodMs: deps.config().scaling.samplePeriodSeconds * 1_000,
    run: urgentScaling(deps),
  },
  { name: 'sample reported usage', periodMs: 1_000, run: usageSampler(deps) },
  { name: 'store latencies', periodMs: 5_000, run: () => deps.latencies.flush() },
  { name: 'prune messages', periodMs: 60_000, run: () => pruneMessages(deps) },
  { name: 'prune resources', periodMs: 60_000, run: () => pruneResources(deps) },
];

/** Starts every periodic task. @returns a function that stops them all after the runs in progress. */
export function startMaintenance(deps: MaintenanceDeps): () => Promise<void> {
  const stops = tasksOf(deps).map((task) => startPeriodicTask(task, deps.logger));
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
    await removeServer(deps.clusters, deps.serverId);
  };
}

/**
 * Runs a task now and then periodically, never twice at once. A failed run is logged; the next one tries again.
 * @returns a function that stops the task after the run in progress.
 */
function startPeriodicTask({ name, periodMs, run }: PeriodicTask, logger: Logger): () => Promise<void> {
  let isStopped = false;
  let timer: NodeJS.Timeout | undefined;
  let running = Promise.resolve();
  const runAndSchedule = async (): Promise<void> => {
    try {
      await run();
    } catch (err) {
      logger.warn({ err, task: name }, 'a periodic task failed and will be tried again');
    }
    if (!isStopped) timer = setTimeout(start, periodMs);
  };
  const start = (): void => {
    running = runAndSchedule();
  };
  start();
  return async () => {
    isStopped = true;
    clearTimeout(timer);
    await running;
  };
}
