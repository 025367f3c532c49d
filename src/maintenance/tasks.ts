import { recordServer, removeServer } from '../stores/clusters/index.js';
import { agentStatusSync } from './agent-status-sync.js';
import type { MaintenanceDeps } from './deps.js';
import { rescueOperations } from './operation-rescuer.js';
import { startPeriodicTask, type PeriodicTask } from './periodic-task.js';
import { expireLeases, expireMessagesAndSubscriptions, pruneMessages, pruneResources } from './retention.js';
import { urgentScaling } from './urgent-scaling.js';
import { usageSampler } from './usage-sampler.js';

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
