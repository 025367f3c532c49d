import { proxyActivities } from '@temporalio/workflow';
import type { Activities } from '../../src/activities/index.js';
import type { FormClusterInput, ManageCommunicationInput } from '../../src/contracts/workflow-inputs.js';

const steps = proxyActivities<Activities>({ startToCloseTimeout: '30s' });

/** form_cluster with its first two steps exchanged: a change that would break every formation under way. */
export async function formCluster({ requestId = 'formed' }: FormClusterInput): Promise<unknown> {
  const ids = { operationId: requestId, clusterId: `cl_${requestId}` };
  await steps.defineCluster({ ...ids, round: 0 });
  await steps.establishConnections(ids);
  return steps.initializeCluster(ids);
}

/** manage_communication with its first two steps exchanged. */
export async function manageCommunication({ requestId = 'everything' }: ManageCommunicationInput): Promise<unknown> {
  const operationId = requestId;
  await steps.handleBroadcasts({ operationId });
  return steps.updateRouting({ operationId });
}
