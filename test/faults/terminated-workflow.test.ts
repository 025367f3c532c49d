import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { connectTemporal } from '../../src/client/connect.js';
import { formationSteps } from '../../src/contracts/steps.js';
import { findOperation } from '../../src/stores/clusters/index.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { openLane, type Lane } from './lane.js';

let lane: Lane;
let temporal: Awaited<ReturnType<typeof connectTemporal>>;

beforeAll(async () => {
  lane = await openLane({ adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') });
  temporal = await connectTemporal(inject('temporal'));
});
afterAll(async () => {
  await temporal?.close();
  await lane?.close();
});

let runs = 0;

/** Terminates a formation's workflow while its worker stands still before a step; the step itself still happens. */
async function terminateBefore(step: string): Promise<string> {
  runs += 1;
  const name = `terminated-${runs}`;
  const point = `${step}:before`;
  await addAgents(lane.stores.clusters, 3, { capabilities: [name] }, name);
  lane.arm([`${point} SIGSTOP`]);
  const { operationId, workflowId } = await lane.manager.startFormation({
    requestId: name,
    name,
    requiredCapabilities: [name],
    deadlineSeconds: 2,
  });
  const pid = await waitFor(`the worker at ${point}`, () => lane.fired(point), { timeoutMs: 30_000, everyMs: 5 });
  await temporal.client.workflow.getHandle(workflowId).terminate('to see what becomes of it');
  process.kill(pid, 'SIGCONT');
  await waitFor(`${step} of the late attempt`, async () => {
    const rows = await lane.stores.clusters
      .selectFrom('operationSteps')
      .select('step')
      .where('operationId', '=', operationId)
      .where('step', '=', step)
      .execute();
    return rows.length === 1;
  });
  return operationId;
}

/** Moves what is stored about an operation into the past, beyond every deadline; its reservations too if they are to have expired. */
async function letTimePass(operationId: string, { expired }: { readonly expired: boolean }): Promise<void> {
  await lane.stores.clusters
    .updateTable('operations')
    .set({ createdAt: sql<Date>`created_at - interval '1 hour'` })
    .where('id', '=', operationId)
    .execute();
  if (!expired) return;
  await lane.stores.clusters
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
      const { resumed } = await lane.manager.runFormationInterval({ dryRun: false });
      expect(resumed).toEqual([operationId]);
      await lane.settle();
      expect(await findOperation(lane.stores.clusters, operationId)).toMatchObject({ state: 'completed' });
      expect(await lane.check()).toEqual([]);
    },
  );

  it.each(formationSteps.slice(0, 3))(
    'a formation terminated at %s with expired reservations is compensated through the formation interval',
    { timeout: 90_000 },
    async (step) => {
      const operationId = await terminateBefore(step);
      await letTimePass(operationId, { expired: true });
      const report = await lane.manager.runFormationInterval({ dryRun: false });
      expect(report).toMatchObject({ resumed: [operationId], releasedReservations: 3 });
      await lane.settle();
      expect(await findOperation(lane.stores.clusters, operationId)).toMatchObject({ state: 'compensated' });
      expect(await lane.check()).toEqual([]);
    },
  );

  it('a formation terminated during its last step is still completed by that step', { timeout: 90_000 }, async () => {
    const operationId = await terminateBefore('initializeCluster');
    expect(await findOperation(lane.stores.clusters, operationId)).toMatchObject({ state: 'completed' });
    expect(await lane.check()).toEqual([]);
  });
});
