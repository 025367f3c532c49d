import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectTemporal } from '../../src/client/connect.js';
import { formationSteps } from '../../src/contracts/steps.js';
import { findOperation } from '../../src/stores/clusters/index.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { openDeployment, type Deployment } from './deployment.js';

let deployment: Deployment;
let temporal: Awaited<ReturnType<typeof connectTemporal>>;

beforeAll(async () => {
  deployment = await openDeployment({ adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') });
  temporal = await connectTemporal(inject('temporal'));
});
afterAll(async () => {
  await temporal?.close();
  await deployment?.close();
});

let runs = 0;

/** Terminates a formation's workflow while its worker is paused before a step, which it still runs afterwards. */
async function terminateBefore(step: string): Promise<string> {
  runs += 1;
  const name = `terminated-${runs}`;
  const point = `${step}:before`;
  await addAgents(deployment.stores.clusters, 3, { capabilities: [name] }, name);
  deployment.arm([`${point} SIGSTOP`]);
  const { operationId, workflowId } = await deployment.manager.startFormation({
    requestId: name,
    name,
    requiredCapabilities: [name],
    deadlineSeconds: 2,
  });
  const pid = await waitFor(`the worker at ${point}`, () => deployment.fired(point), { timeoutMs: 30_000, everyMs: 5 });
  await temporal.client.workflow.getHandle(workflowId).terminate('terminated by the test');
  process.kill(pid, 'SIGCONT');
  await waitFor(`${step} of the late attempt`, async () => {
    const rows = await deployment.stores.clusters
      .selectFrom('operationSteps')
      .select('step')
      .where('operationId', '=', operationId)
      .where('step', '=', step)
      .execute();
    return rows.length === 1;
  });
  return operationId;
}

/** Moves the start of an operation into the past, beyond every deadline. @param options.expired also its reservations. */
async function letTimePass(operationId: string, { expired }: { readonly expired: boolean }): Promise<void> {
  await deployment.stores.clusters
    .updateTable('operations')
    .set({ createdAt: sql<Date>`created_at - interval '1 hour'` })
    .where('id', '=', operationId)
    .execute();
  if (!expired) return;
  await deployment.stores.clusters
    .updateTable('memberships')
    .set({ expiresAt: new Date(0) })
    .where('operationId', '=', operationId)
    .execute();
}

describe('a formation whose workflow was terminated', () => {
  it.each(formationSteps.slice(0, 3))(
    'a formation terminated at %s is resumed and completed by the formation interval',
    { timeout: 90_000 },
    async (step) => {
      const operationId = await terminateBefore(step);
      await letTimePass(operationId, { expired: false });
      const { resumed } = await deployment.manager.runFormationInterval({ dryRun: false });
      expect(resumed).toEqual([operationId]);
      await deployment.settle();
      expect(await findOperation(deployment.stores.clusters, operationId)).toMatchObject({ state: 'completed' });
      expect(await deployment.check()).toEqual([]);
    },
  );

  it.each(formationSteps.slice(0, 3))(
    'a formation terminated at %s with expired reservations is compensated through the formation interval',
    { timeout: 90_000 },
    async (step) => {
      const operationId = await terminateBefore(step);
      await letTimePass(operationId, { expired: true });
      const report = await deployment.manager.runFormationInterval({ dryRun: false });
      expect(report).toMatchObject({ resumed: [operationId], releasedReservations: 3 });
      await deployment.settle();
      expect(await findOperation(deployment.stores.clusters, operationId)).toMatchObject({ state: 'compensated' });
      expect(await deployment.check()).toEqual([]);
    },
  );

  it('a formation terminated during its last step is still completed by that step', { timeout: 90_000 }, async () => {
    const operationId = await terminateBefore('initializeCluster');
    expect(await findOperation(deployment.stores.clusters, operationId)).toMatchObject({ state: 'completed' });
    expect(await deployment.check()).toEqual([]);
  });
});
