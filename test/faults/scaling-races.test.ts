import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { resumeAbandonedOperations } from '../../src/operations/resume.js';
import { connectTemporal } from '../../src/client/connect.js';
import { clusterView, findOperation } from '../../src/stores/clusters/index.js';
import { membersOf } from '../support/clusters.js';
import { waitFor } from '../support/wait-for.js';
import { sendToMembers } from '../support/cluster-messages.js';
import { openDeployment, type Deployment } from './deployment.js';
import { clusterWithHeadroom, crashWhileScaling, scalingEnds } from './scaling-points.js';

let deployment: Deployment;
let temporal: Awaited<ReturnType<typeof connectTemporal>>;

beforeAll(async () => {
  deployment = await openDeployment(
    { adminUrl: inject('adminDatabaseUrl'), temporal: inject('temporal') },
    { workers: 2 },
  );
  temporal = await connectTemporal(inject('temporal'));
});
afterAll(async () => {
  await temporal?.close();
  await deployment?.close();
});

const repetitions = [1, 2, 3] as const;

const settled = (workflowId: string): Promise<unknown> => deployment.manager.result(workflowId).catch(() => undefined);
const stateOf = async (operationId: string) => (await findOperation(deployment.stores.clusters, operationId))?.state;
const isAt = (point: string) =>
  waitFor(`a worker at ${point}`, () => deployment.fired(point), { timeoutMs: 30_000, everyMs: 5 });

describe('concurrent scalings of one cluster', () => {
  it.each(repetitions)(
    'of two concurrent scalings of one cluster, one completes and the other is refused (%i)',
    { timeout: 90_000 },
    async (run) => {
      const clusterId = await clusterWithHeadroom(deployment, `twice-${run}`, 3, { spare: 4 });
      const started = await Promise.all(
        [4, 5].map((desired) =>
          deployment.manager.startScaling({ requestId: `twice-${run}-${desired}`, clusterId, desired, soakSeconds: 3 }),
        ),
      );
      const ends = await Promise.all(
        started.map(({ workflowId }) =>
          deployment.manager.result<{ outcome: string; size: number }>(workflowId).catch((error: unknown) => error),
        ),
      );
      expect(ends.filter((end) => end instanceof Error)).toEqual([expect.objectContaining({ code: 'state_conflict' })]);
      const done = ends.flatMap((end) => (end instanceof Error ? [] : [end as { outcome: string; size: number }]));
      expect(done).toEqual([expect.objectContaining({ outcome: 'scaled' })]);
      expect(await membersOf(deployment.stores.clusters, clusterId)).toHaveLength(done[0]?.size ?? 0);
      await deployment.settle();
      expect(await deployment.check()).toEqual([]);
    },
  );
});

describe('a cluster that is dissolved while it is scaled', () => {
  const points = [
    'allocateResources:before',
    'adjustCluster:before-joining',
    'adjustCluster:join:after-commit',
    'adjustCluster:before-leaving',
    'adjustCluster:leave:after-commit',
    'verifyStability:before',
  ];
  it.each(points)(
    'a cluster dissolved while its scaling is at %s leaves nothing behind, and both operations end',
    { timeout: 300_000 },
    async (point) => {
      const grows = !/leav/.test(point);
      for (const run of repetitions) {
        const name = `gone-${points.indexOf(point)}-${run}`;
        const clusterId = await clusterWithHeadroom(deployment, name, grows ? 3 : 5, { spare: grows ? 2 : 0 });
        deployment.arm([`${point} SIGSTOP`]);
        const scaling = await deployment.manager.startScaling({
          requestId: `${name}-scale`,
          clusterId,
          desired: grows ? 5 : 3,
          soakSeconds: 0,
          grantSeconds: 0,
        });
        const pid = await isAt(point);
        const end = { operationId: `${name}-end`, clusterId, drainSeconds: 0 };
        const dissolution = await deployment.manager.startDissolution(end);
        // The other worker dissolves the cluster; the paused worker continues in the middle of the dissolution.
        await waitFor(
          'the cluster not to be active any more',
          async () => {
            const view = await clusterView(deployment.stores.clusters, clusterId);
            return view?.state !== 'active';
          },
          { timeoutMs: 60_000 },
        ).finally(() => process.kill(pid, 'SIGCONT'));
        await Promise.all([settled(scaling.workflowId), settled(dissolution)]);
        await deployment.settle();
        expect(await stateOf(`${name}-end`)).toBe('completed');
        expect(['completed', 'compensated']).toContain(await stateOf(scaling.operationId));
        expect(await deployment.check()).toEqual([]);
      }
    },
  );
});

describe('a soak in which the worker is killed', () => {
  it.each(repetitions)(
    'a soak continues after its worker is killed, without restarting its timers (%i)',
    { timeout: 90_000 },
    async () => {
      const { recoveryMs, ...end } = await crashWhileScaling(deployment, 'grow', 'soak');
      expect(recoveryMs).toBeGreaterThan(0);
      expect(end).toEqual(scalingEnds.grow);
      const { workflowId } = await deployment.stores.clusters
        .selectFrom('operations')
        .select('workflowId')
        .where('kind', '=', 'SCALING')
        .orderBy('createdAt', 'desc')
        .limit(1)
        .executeTakeFirstOrThrow();
      const { events } = await temporal.client.workflow.getHandle(workflowId).fetchHistory();
      const timers = (events ?? []).filter((event) => event.timerStartedEventAttributes);
      expect(timers).toHaveLength(3);
    },
  );
});

describe('a scaling whose workflow was terminated', () => {
  /** Moves the start of the operation into the past, beyond its deadline. */
  const letTimePass = async (operationId: string): Promise<void> => {
    await deployment.stores.clusters
      .updateTable('operations')
      .set({ createdAt: sql<Date>`created_at - interval '1 hour'` })
      .where('id', '=', operationId)
      .execute();
  };
  const terminate = (workflowId: string) =>
    temporal.client.workflow.getHandle(workflowId).terminate('terminated by the test');

  it.each(['assessNeeds:after-commit', 'allocateResources:after-commit', 'adjustCluster:join:after-commit'])(
    'a scaling terminated at %s is resumed by the formation interval and completes',
    { timeout: 180_000 },
    async (point) => {
      for (const run of repetitions) {
        const name = `ended-${point.split(':').slice(0, 2).join('-').toLowerCase()}-${run}`;
        const clusterId = await clusterWithHeadroom(deployment, name, 3, { spare: 2 });
        deployment.arm([`${point} SIGSTOP`]);
        const request = { requestId: `${name}-scale`, clusterId, desired: 5, soakSeconds: 0 };
        const { workflowId, operationId } = await deployment.manager.startScaling(request);
        const pid = await isAt(point);
        await terminate(workflowId);
        process.kill(pid, 'SIGCONT');
        await letTimePass(operationId);
        const { resumed } = await deployment.manager.runFormationInterval({ dryRun: false });
        expect(resumed).toEqual([operationId]);
        await deployment.settle();
        expect(await findOperation(deployment.stores.clusters, operationId)).toMatchObject({
          state: 'completed',
          result: { outcome: 'scaled', size: 5 },
        });
        expect(await deployment.check()).toEqual([]);
      }
    },
  );

  it(
    'a scaling terminated in its drain is resumed by a server, and its departing members are released',
    { timeout: 180_000 },
    async () => {
      for (const run of repetitions) {
        const name = `drained-${run}`;
        const clusterId = await clusterWithHeadroom(deployment, name, 5);
        await sendToMembers(deployment.stores, clusterId);
        const request = { requestId: `${name}-scale`, clusterId, desired: 3, soakSeconds: 0, drainSeconds: 5 };
        const { workflowId, operationId } = await deployment.manager.startScaling(request);
        await waitFor(
          'the drain',
          async () => (await membersOf(deployment.stores.clusters, clusterId, 'leaving')).length === 2,
        );
        await terminate(workflowId);
        await letTimePass(operationId);
        const { resumed } = await resumeAbandonedOperations({
          clusters: deployment.stores.clusters,
          client: deployment.manager,
        });
        expect(resumed).toEqual([operationId]);
        await deployment.settle();
        expect(await findOperation(deployment.stores.clusters, operationId)).toMatchObject({
          state: 'completed',
          result: { outcome: 'scaled', size: 3 },
        });
        expect(await membersOf(deployment.stores.clusters, clusterId, 'leaving')).toEqual([]);
        expect(await deployment.check()).toEqual([]);
      }
    },
  );
});
