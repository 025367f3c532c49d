import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { formationSteps } from '../../src/contracts/steps.js';
import { findOperation, stepsOf } from '../../src/stores/clusters/index.js';
import { openLane, type Lane } from './lane.js';
import { formAnother, startFormation, stopAt } from './stop-worker.js';

let lane: Lane;

beforeAll(async () => {
  lane = await openLane({ adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') }, { workers: 2 });
});
afterAll(() => lane?.close());

describe('a worker paused beyond its heartbeat timeout while another finishes its formation', () => {
  it.each([...formationSteps.map((step) => `${step}:before`), 'initializeCluster:before-announcement'])(
    'a worker paused at %s changes nothing when it continues after another finished',
    { timeout: 150_000 },
    async (point) => {
      lane.arm([`${point} SIGSTOP`]);
      const { operationId, workflowId } = await startFormation(lane);
      const wake = await stopAt(lane, point);
      try {
        expect(await lane.manager.result(workflowId)).toMatchObject({ epoch: 1 });
        const before = [
          await findOperation(lane.stores.clusters, operationId),
          await stepsOf(lane.stores.clusters, operationId),
        ];
        wake();
        await formAnother(lane);
        const after = [
          await findOperation(lane.stores.clusters, operationId),
          await stepsOf(lane.stores.clusters, operationId),
        ];
        expect(after).toEqual(before);
        expect(await lane.check()).toEqual([]);
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
      lane.arm([`${point} SIGSTOP`]);
      const { clusterId, workflowId } = await startFormation(lane);
      const wake = await stopAt(lane, point);
      try {
        await lane.manager.result(workflowId);
        const end = await lane.manager.startDissolution({
          operationId: `end-${clusterId}`,
          clusterId,
          drainSeconds: 0,
        });
        await lane.manager.result(end);
        wake();
        await formAnother(lane);
        expect(await lane.check()).toEqual([]);
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
      lane.arm([`${point} SIGSTOP`]);
      const { workflowId } = await startFormation(lane);
      const wake = await stopAt(lane, point);
      try {
        expect(await lane.manager.result(workflowId)).toMatchObject({ epoch: 1 });
        wake();
        await formAnother(lane);
        expect(await lane.check()).toEqual([]);
      } finally {
        wake();
      }
    },
  );
});
