import { proxyActivities } from '@temporalio/workflow';
import type { FormationActivities } from '../../src/activities/formation/index.js';
import type { FormClusterInput } from '../../src/contracts/workflow-inputs.js';

const steps = proxyActivities<FormationActivities>({ startToCloseTimeout: '30s' });

/** form_cluster with its first two steps exchanged: a change that would break every formation under way. */
export async function formCluster({ requestId = 'formed' }: FormClusterInput): Promise<unknown> {
  const ids = { operationId: requestId, clusterId: `cl_${requestId}` };
  await steps.defineCluster({ ...ids, round: 0 });
  await steps.establishConnections(ids);
  return steps.initializeCluster(ids);
}
