import {
  executeChild,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  uuid4,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { workflowIds } from '../contracts/ids.js';
import { wakeSignal, type FormationIntervalInput, type FormationIntervalReport } from '../contracts/workflow-inputs.js';
import { intervalJobs } from './activity-options.js';
import { detailsOf, failureMessageOf } from './interval-report.js';
import { repairCluster } from './formation.js';

const maxConcurrentRepairs = 10;

/**
 * The formation interval: serves the queue, repairs clusters below their minimum, releases expired reservations and resumes
 * abandoned operations. With dryRun it only reports what it would do.
 */
export async function formationInterval({
  dryRun = false,
}: FormationIntervalInput = {}): Promise<FormationIntervalReport> {
  if (dryRun) {
    const { lines } = await intervalJobs.planFormationInterval({});
    return { dryRun, lines, releasedReservations: 0, served: [], repaired: [], resumed: [] };
  }
  const { served: queued, releasedReservations, short } = await intervalJobs.runFormationInterval({});
  for (const { workflowId } of queued) await signal(workflowId);
  const repairs = await repairAll(short);
  const resumed = await intervalJobs.resumeAbandonedOperations({});
  const served = queued.map(({ operationId }) => operationId);
  const lines = [
    ...(releasedReservations > 0 ? [`released ${releasedReservations} expired reservations`] : []),
    ...served.map((operationId) => `served ${operationId} from the queue`),
    ...repairs.map(({ clusterId, outcome }) => `${clusterId}: ${outcome}`),
    ...resumed.map((operationId) => `resumed ${operationId}`),
  ];
  setCurrentDetails(detailsOf(lines));
  const repaired = repairs.filter(({ isDone }) => isDone).map(({ clusterId }) => clusterId);
  return { dryRun, lines, releasedReservations, served, repaired, resumed };
}

/** A workflow that has ended meanwhile needs no signal; if it was lost, its operation is resumed later. */
const signal = (workflowId: string): Promise<void> =>
  getExternalWorkflowHandle(workflowId)
    .signal(wakeSignal)
    .catch(() => undefined);

interface Repair {
  readonly clusterId: string;
  readonly isDone: boolean;
  readonly outcome: string;
}

async function repairAll(clusterIds: readonly string[]): Promise<readonly Repair[]> {
  const repairs = [];
  for (let at = 0; at < clusterIds.length; at += maxConcurrentRepairs) {
    repairs.push(...(await Promise.all(clusterIds.slice(at, at + maxConcurrentRepairs).map(repair))));
  }
  return repairs;
}

async function repair(clusterId: string): Promise<Repair> {
  try {
    const { epoch, members } = await executeChild(repairCluster, {
      workflowId: workflowIds.repair(clusterId),
      args: [{ operationId: `op_${uuid4()}`, clusterId }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
      staticSummary: `Repair cluster ${clusterId}`,
    });
    return { clusterId, isDone: true, outcome: `repaired, ${members.length} members at epoch ${epoch}` };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return { clusterId, isDone: false, outcome: 'is being repaired already' };
    }
    return { clusterId, isDone: false, outcome: `not repaired: ${failureMessageOf(error)}` };
  }
}
