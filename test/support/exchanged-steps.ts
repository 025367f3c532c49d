import { executeChild, proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../src/activities/index.js';
import type {
  FormClusterInput,
  ManageCommunicationInput,
  ScaleClusterInput,
} from '../../src/contracts/workflow-inputs.js';

const steps = proxyActivities<Activities>({ startToCloseTimeout: '30s' });

/** form_cluster with its first two steps swapped: a change that would break every running formation. */
export async function formCluster({ requestId = 'formed' }: FormClusterInput): Promise<unknown> {
  const ids = { operationId: requestId, clusterId: `cl_${requestId}` };
  await steps.defineCluster({ ...ids, round: 0 });
  await steps.establishConnections(ids);
  return steps.initializeCluster(ids);
}

/** manage_communication with its first two steps swapped. */
export async function manageCommunication({ requestId = 'everything' }: ManageCommunicationInput): Promise<unknown> {
  const operationId = requestId;
  await steps.handleBroadcasts({ operationId });
  return steps.updateRouting({ operationId });
}

/** scale_cluster with its first two steps swapped. */
export async function scaleCluster({
  requestId = 'grown',
  clusterId = 'cl_grown',
}: ScaleClusterInput): Promise<unknown> {
  const ids = { operationId: requestId, clusterId };
  await steps.allocateResources({ ...ids, round: 0 });
  return steps.adjustCluster({ ...ids, round: 0 });
}

/** The scaling interval, scaling a cluster before it has assessed any. */
export async function scalingInterval(): Promise<unknown> {
  await executeChild(scaleCluster, { workflowId: 'scaling/moved', args: [{ clusterId: 'cl_takes', desired: 6 }] });
  return steps.assessPage({ after: '', limit: 500, dryRun: false, balance: null });
}
