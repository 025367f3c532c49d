import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { formationSteps } from '../../src/contracts/steps.js';
import { findOperation, stepsOf } from '../../src/stores/clusters/index.js';
import { openDeployment, type Deployment } from './deployment.js';
import { formAnother, startFormation, stopAt } from './stop-worker.js';

let deployment: Deployment;

beforeAll(async () => {
  deployment = await openDeployment(
    { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') },
    { workers: 2 },
  );
});
afterAll(() => deployment?.close());

describe('a worker paused beyond its heartbeat timeout while another finishes its formation', () => {
  it.each([...formationSteps.map((step) => `${step}:before`), 'initializeCluster:before-announcement'])(
    'a worker paused at %s changes nothing when it continues after another finished',
    { timeout: 150_000 },
    async (point) => {
      deployment.arm([`${point} SIGSTOP`]);
      const { operationId, workflowId } = await startFormation(deployment);
      const wake = await stopAt(deployment, point);
      try {
        expect(await deployment.manager.result(workflowId)).toMatchObject({ epoch: 1 });
        const before = [
          await findOperation(deployment.stores.clusters, operationId),
          await stepsOf(deployment.stores.clusters, operationId),
        ];
        wake();
        await formAnother(deployment);
        const after = [
          await findOperation(deployment.stores.clusters, operationId),
          await stepsOf(deployment.stores.clusters, operationId),
        ];
        expect(after).toEqual(before);
        expect(await deployment.check()).toEqual([]);
      } finally {
        wake();
      }
    },
  );

  it(
    'a worker paused before announcing a cluster announces nothing when the cluster was dissolved in the meantime',
    { timeout: 150_000 },
    async () => {
      const point = 'initializeCluster:before-announcement';
      deployment.arm([`${point} SIGSTOP`]);
      const { clusterId, workflowId } = await startFormation(deployment);
      const wake = await stopAt(deployment, point);
      try {
        await deployment.manager.result(workflowId);
        const end = await deployment.manager.startDissolution({
          operationId: `end-${clusterId}`,
          clusterId,
          drainSeconds: 0,
        });
        await deployment.manager.result(end);
        wake();
        await formAnother(deployment);
        expect(await deployment.check()).toEqual([]);
      } finally {
        wake();
      }
    },
  );

  it(
    "the database ends the transaction of a paused worker that holds an operation's lock",
    { timeout: 150_000 },
    async () => {
      const point = 'defineCluster:before-commit';
      deployment.arm([`${point} SIGSTOP`]);
      const { workflowId } = await startFormation(deployment);
      const wake = await stopAt(deployment, point);
      try {
        expect(await deployment.manager.result(workflowId)).toMatchObject({ epoch: 1 });
        wake();
        await formAnother(deployment);
        expect(await deployment.check()).toEqual([]);
      } finally {
        wake();
      }
    },
  );
});
