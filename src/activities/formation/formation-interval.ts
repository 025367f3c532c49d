import { ManagerError } from '../../contracts/errors.js';
import {
  clustersBelowMinimum,
  nextRound,
  queuedOperations,
  releaseExpiredReservations,
  type OperationRow,
} from '../../stores/clusters/index.js';
import type { ActivityDeps } from '../deps.js';
import { reserveForQueuedOperation } from './identify-agents.js';

/** The clusters and queued formations of one run, and how long after an outage of the manager missing leases are ignored. */
export const intervalLimits = ({ leaseSeconds }: { readonly leaseSeconds: number }) => ({
  limit: 200,
  graceSeconds: 2 * leaseSeconds,
});

export interface IntervalWork {
  readonly releasedReservations: number;
  /** Queued formations, oldest first, for which agents are reserved now; their workflows wait for a signal. */
  readonly served: readonly { readonly operationId: string; readonly workflowId: string }[];
  /** Clusters below their minimum size. */
  readonly short: readonly string[];
}

/**
 * The part of a formation interval that needs no workflow: releases expired reservations and reserves agents for queued
 * requests in the order they came. Lists the clusters to repair.
 */
export async function runFormationInterval(deps: ActivityDeps, _input: object): Promise<IntervalWork> {
  const { clusters, settings } = deps;
  const limits = intervalLimits(settings);
  const releasedReservations = await releaseExpiredReservations(clusters);
  const short = await clustersBelowMinimum(clusters, limits);
  const served = [];
  for (const operation of await queuedOperations(clusters, limits.limit)) {
    if (await serve(deps, operation)) served.push({ operationId: operation.id, workflowId: operation.workflowId });
  }
  return { releasedReservations, served, short: short.map((cluster) => cluster.id) };
}

/** A request that is refused, because it ended meanwhile or the settings changed, does not hold up the others. */
async function serve(deps: ActivityDeps, operation: OperationRow): Promise<boolean> {
  try {
    return await reserveForQueuedOperation(deps, operation, await nextRound(deps.clusters, operation.id));
  } catch (error) {
    if (error instanceof ManagerError) return false;
    throw error;
  }
}
