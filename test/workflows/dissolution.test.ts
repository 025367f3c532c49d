import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findOperation } from '../../src/stores/clusters/index.js';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, type TestWorker } from '../support/worker.js';

let stores: TestDatabases;
let worker: TestWorker;

beforeAll(async () => {
  stores = await createTestDatabases();
  worker = await startTestWorker(stores);
});
afterAll(async () => {
  await worker?.stop();
  await stores?.drop();
});

const form = async (name: string): Promise<string> => {
  await addAgents(stores.clusters, 3, { capabilities: [name] }, name);
  const { clusterId } = await worker.manager.formCluster({ requestId: name, name, requiredCapabilities: [name] });
  return clusterId;
};

describe('dissolveCluster', () => {
  it('dissolving a dissolved cluster ends the operation as refused', async () => {
    const clusterId = await form('twice');
    const once = await worker.manager.startDissolution({ operationId: 'once', clusterId, drainSeconds: 0 });
    await worker.manager.result(once);
    const twice = await worker.manager.startDissolution({ operationId: 'twice-more', clusterId, drainSeconds: 0 });
    await expect(worker.manager.result(twice)).rejects.toMatchObject({ code: 'state_conflict' });
    expect(await findOperation(stores.clusters, 'twice-more')).toMatchObject({ state: 'refused' });
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('cancelling a dissolution only shortens its drain', async () => {
    const clusterId = await form('hasty');
    const workflowId = await worker.manager.startDissolution({
      operationId: 'hasty-end',
      clusterId,
      drainSeconds: 600,
    });
    await waitFor('the drain', async () => {
      const { state } = await stores.clusters
        .selectFrom('clusters')
        .select('state')
        .where('id', '=', clusterId)
        .executeTakeFirstOrThrow();
      return state === 'dissolving';
    });
    await worker.manager.cancel(workflowId);
    expect(await worker.manager.result(workflowId)).toMatchObject({ clusterId });
    expect(await findOperation(stores.clusters, 'hasty-end')).toMatchObject({ state: 'completed' });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});
