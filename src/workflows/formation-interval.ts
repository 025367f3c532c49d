import {
  executeChild,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  startChild,
  uuid4,
} from '@temporalio/workflow';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import type { IntervalWork } from '../activities/formation/formation-interval.js';
import { workflowIds } from '../contracts/ids.js';
import { wakeSignal, type FormationIntervalInput, type FormationIntervalReport } from '../contracts/workflow-inputs.js';
import { formationJobs } from './activity-options.js';
import { manageCommunication } from './communication.js';
import { formCluster, repairCluster } from './formation.js';
import { scaleCluster } from './scaling.js';

const repairsAtOnce = 10;

/**
 * The formation interval's job: serves the queue, repairs clusters below their minimum, releases what expired and
 * starts again what nobody works on. With dryRun it says what it would do.
 */
export async function formationInterval({
  dryRun = false,
}: FormationIntervalInput = {}): Promise<FormationIntervalReport> {
  if (dryRun) {
    const { lines } = await formationJobs.describeFormationInterval({});
    return { dryRun, lines, releasedReservations: 0, served: [], repaired: [], resumed: [] };
  }
  const work = await formationJobs.runFormationInterval({});
  for (const { workflowId } of work.served) await wake(workflowId);
  const repaired = await repairAll(work.short);
  const resumed = await resumeAll(work.abandoned);
  const served = work.served.map(({ operationId }) => operationId);
  const lines = [
    ...(work.releasedReservations > 0 ? [`released ${work.releasedReservations} expired reservations`] : []),
    ...served.map((operationId) => `served ${operationId} from the queue`),
    ...repaired.map(({ clusterId, outcome }) => `${clusterId}: ${outcome}`),
    ...resumed.map((operationId) => `resumed ${operationId}`),
  ];
  setCurrentDetails(lines.length > 0 ? lines.map((line) => `- ${line}`).join('\n') : 'Nothing to do');
  return {
    dryRun,
    lines,
    releasedReservations: work.releasedReservations,
    served,
    repaired: repaired.filter(({ isDone }) => isDone).map(({ clusterId }) => clusterId),
    resumed,
  };
}

/** A workflow that has ended in the meantime needs no waking; the next interval finds its operation if it was lost. */
const wake = (workflowId: string): Promise<void> =>
  getExternalWorkflowHandle(workflowId)
    .signal(wakeSignal)
    .catch(() => undefined);

async function repairAll(clusterIds: readonly string[]) {
  const outcomes = [];
  for (let at = 0; at < clusterIds.length; at += repairsAtOnce) {
    outcomes.push(...(await Promise.all(clusterIds.slice(at, at + repairsAtOnce).map(repair))));
  }
  return outcomes;
}

async function repair(clusterId: string): Promise<{ clusterId: string; isDone: boolean; outcome: string }> {
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
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    return {
      clusterId,
      isDone: false,
      outcome: `not repaired: ${cause instanceof Error ? cause.message : String(cause)}`,
    };
  }
}

async function resumeAll(abandoned: IntervalWork['abandoned']): Promise<string[]> {
  const resumed: string[] = [];
  for (const operation of abandoned) {
    if (await resume(operation)) resumed.push(operation.id);
  }
  return resumed;
}

async function resume({ id, kind, clusterId, request }: IntervalWork['abandoned'][number]): Promise<boolean> {
  const options = { parentClosePolicy: ParentClosePolicy.ABANDON, staticSummary: `Resume operation ${id}` };
  try {
    if (kind === 'FORMATION') {
      const input = { ...(request as Parameters<typeof formCluster>[0]), requestId: id };
      await startChild(formCluster, { ...options, workflowId: workflowIds.formation(id), args: [input] });
    } else if (kind === 'REPAIR') {
      await startChild(repairCluster, {
        ...options,
        workflowId: workflowIds.repair(clusterId),
        args: [{ operationId: id, clusterId }],
      });
    } else if (kind === 'COMMUNICATION') {
      const input = { ...(request as Parameters<typeof manageCommunication>[0]), requestId: id };
      await startChild(manageCommunication, { ...options, workflowId: workflowIds.communication(id), args: [input] });
    } else if (kind === 'SCALING') {
      const input = { ...(request as Parameters<typeof scaleCluster>[0]), requestId: id };
      await startChild(scaleCluster, { ...options, workflowId: workflowIds.scaling(id), args: [input] });
    } else {
      const { drainSeconds } = request as { drainSeconds: number };
      await startChild('dissolveCluster', {
        ...options,
        workflowId: workflowIds.dissolution(clusterId),
        args: [{ operationId: id, clusterId, drainSeconds }],
      });
    }
    return true;
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
    throw error;
  }
}
