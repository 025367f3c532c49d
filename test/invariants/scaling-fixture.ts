import { clusterIdOf } from '../../src/contracts/ids.js';
import type { ScalingRequest } from '../../src/contracts/scaling.js';
import {
  saveCapacityAnswer,
  commitHold,
  openCapacityRequest,
  putBudget,
  putPool,
  releaseAllocation,
  releaseHold,
  placeHold,
  setQuotas,
  allocate,
} from '../../src/stores/resources/index.js';
import { callActivities, formDirectly, type Call } from '../concurrency/run-formation.js';
import type { TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';

/** Runs one round of `scaleCluster` without a soak by calling its activities directly. */
export async function scaleDirectly(
  call: Call,
  request: ScalingRequest & { readonly requestId: string },
): Promise<unknown> {
  const { requestId: operationId, clusterId } = request;
  const ids = { operationId, clusterId };
  await call('assessNeeds', { ...ids, workflowId: `scaling/${operationId}`, request });
  await call('allocateResources', { ...ids, round: 0 });
  await call('adjustCluster', { ...ids, round: 0 });
  return call('settleScaling', ids);
}

/** Creates a cluster that grew and shrank, a pool with allocations and a budget with holds in several states. */
export async function createScalingHistory(stores: TestDatabases): Promise<void> {
  const call = callActivities(stores);
  const { clusters, resources } = stores;
  await addAgents(clusters, 6, { capabilities: ['work'] });
  const formed = { requestId: 'main', name: 'main', requiredCapabilities: ['work'] };
  await formDirectly(call, { ...formed, size: { min: 3, desired: 3, max: 6 } });
  const clusterId = clusterIdOf('main');
  await scaleDirectly(call, { requestId: 'grown', clusterId, desired: 5 });
  await scaleDirectly(call, { requestId: 'shrunk', clusterId, desired: 4, drainSeconds: 0 });

  for (const name of ['llm', 'other']) await putPool(resources, { name, capacity: { tokens: 100 } });
  await setQuotas(resources, clusterId, { tokens: 50 });
  for (const requestId of ['held', 'ended', 'short']) {
    const amounts = [{ pool: 'llm', resource: 'tokens', amount: requestId === 'short' ? 99 : 10 }];
    const answer = await allocate(resources, {
      requestId,
      clusterId,
      operationId: 'grown',
      amounts,
      leaseSeconds: 600,
    });
    if (requestId !== 'ended' || answer.state !== 'granted') continue;
    await releaseAllocation(resources, { allocationIds: answer.grants.map(({ id }) => id) });
  }

  await putBudget(resources, { id: 'b', clusterId, resource: 'usd', limit: 100 });
  for (const holdId of ['open', 'spent', 'unused']) {
    await placeHold(resources, { budgetId: 'b', holdId, amount: 10, leaseSeconds: 600 });
  }
  await commitHold(resources, 'spent', 8);
  await releaseHold(resources, 'unused');

  const need = { id: 'rr_grown_0', clusterId, operationId: 'grown', round: 0, need: {}, reason: 'few' };
  await openCapacityRequest(resources, { ...need, deadlineSeconds: 600 });
  await saveCapacityAnswer(resources, need.id, { state: 'denied', by: 'me', answer: {} });
}
