import { sql, type Kysely } from 'kysely';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, inject, it } from 'vitest';
import { connectTemporal } from '../../src/client/connect.js';
import { listOperations } from '../../src/stores/clusters/index.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment } from './deployment.js';
import { useDeployments } from './deployment-pool.js';
import { printRecovery } from './recovery-figures.js';
import { clusterWithHeadroom } from './scaling-points.js';
import { formAnother, stopAt } from './stop-worker.js';

let temporal: Awaited<ReturnType<typeof connectTemporal>>;
const withDeployment = useDeployments(3, { workers: 2 });
const recoveriesMs: number[] = [];

beforeAll(async () => {
  temporal = await connectTemporal(inject('temporal'));
});
afterAll(async () => {
  await temporal?.close();
  printRecovery('scaling-stopped', recoveriesMs);
});

interface Stop {
  /** The failpoint at which the worker is paused, or `soak`. */
  readonly at: string;
  /** The size to which it scales a cluster of four. */
  readonly desired: number;
  /** What happens to the cluster while the worker is paused. */
  readonly meanwhile: 'another worker finished' | 'the cluster was scaled again' | 'the scaling was cancelled';
}

const finishes = { meanwhile: 'another worker finished' } as const;
const growing = ['before-joining', 'join:before-commit', 'join:after-commit', 'noted'];
const shrinking = ['before-leaving', 'leave:before-commit', 'drained', 'before-commit'];
const announcing = [
  { at: 'adjustCluster:before-joining', desired: 5 },
  { at: 'adjustCluster:before-leaving', desired: 3 },
];

/** Pauses before a change is announced, in its transaction, after its commit, in the soak and in the verification. */
const stops: readonly Stop[] = [
  ...growing.map((at) => ({ at: `adjustCluster:${at}`, desired: 5, ...finishes })),
  ...shrinking.map((at) => ({ at: `adjustCluster:${at}`, desired: 3, ...finishes })),
  { at: 'soak', desired: 5, ...finishes },
  { at: 'verifyStability:judged:before-commit', desired: 5, ...finishes },
  { at: 'verifyStability:before', desired: 5, ...finishes },
  ...announcing.map((one) => ({ ...one, meanwhile: 'the cluster was scaled again' as const })),
  ...announcing.map((one) => ({ ...one, meanwhile: 'the scaling was cancelled' as const })),
];

describe.concurrent('a worker paused during a scaling', () => {
  it.for(stops)(
    'a worker paused at $at of a scaling to $desired changes nothing when it continues after $meanwhile',
    { timeout: 600_000 },
    async (stop, { expect }) => {
      const { states, before, after, violations } = await withDeployment((deployment) =>
        scaleWhilePaused(deployment, stop),
      );
      expect(states).toEqual(
        {
          'another worker finished': ['completed'],
          'the cluster was scaled again': ['completed', 'completed'],
          'the scaling was cancelled': ['cancelled'],
        }[stop.meanwhile],
      );
      expect(before.length).toBeGreaterThan(0);
      expect(after).toEqual(before);
      expect(violations).toEqual([]);
    },
  );
});

/** @returns the states of the scalings, and the rows about them before and after the paused worker continues. */
async function scaleWhilePaused(deployment: Deployment, stop: Stop) {
  const { at, desired, meanwhile } = stop;
  const name = `paused-${stops.indexOf(stop)}-`;
  const clusterId = await clusterWithHeadroom(deployment, name, 4, { spare: 1 });
  deployment.arm(at === 'soak' ? [] : [`${at} SIGSTOP`]);
  const request = { requestId: `${name}scale`, clusterId, desired, soakSeconds: 6 };
  const { workflowId } = await deployment.manager.startScaling(request);
  const wake = at === 'soak' ? await stopInSoak(temporal.client, workflowId) : await stopAt(deployment, at);
  const stoppedMs = performance.now();
  try {
    if (meanwhile === 'the scaling was cancelled') await deployment.manager.cancel(workflowId);
    await deployment.manager.result(workflowId).catch(() => undefined);
    recoveriesMs.push(performance.now() - stoppedMs);
    if (meanwhile === 'the cluster was scaled again') {
      await deployment.manager.scaleCluster({ ...request, requestId: `${name}back`, desired: 4, soakSeconds: 0 });
    }
    await deployment.settle();
    const before = await storedOf(deployment, name);
    wake();
    await formAnother(deployment);
    const operations = await listOperations(deployment.stores.clusters, { clusterId, limit: 10 });
    return {
      states: operations.filter(({ kind }) => kind === 'SCALING').map(({ state }) => state),
      before,
      after: await storedOf(deployment, name),
      violations: await deployment.check(),
    };
  } finally {
    wake();
  }
}

/** Pauses the worker that ran the last task of the workflow, once the workflow soaks. @returns what continues it. */
async function stopInSoak(client: Client, workflowId: string): Promise<() => void> {
  const pid = await waitFor('the soak', async () => {
    const events = (await client.workflow.getHandle(workflowId).fetchHistory()).events ?? [];
    if (!events.some((event) => event.timerStartedEventAttributes)) return undefined;
    const by = events.findLast((event) => event.workflowTaskStartedEventAttributes)?.workflowTaskStartedEventAttributes;
    return Number.parseInt(by?.identity ?? '', 10);
  });
  process.kill(pid, 'SIGSTOP');
  return () => process.kill(pid, 'SIGCONT');
}

/** Every row of the three databases that contains `name`, as text. */
async function storedOf({ stores }: Deployment, name: string): Promise<readonly string[]> {
  const databases = [stores.clusters, stores.communication, stores.resources] as readonly Kysely<unknown>[];
  const found = await Promise.all(
    databases.map(async (db) => {
      const { rows: tables } = await sql<{ name: string }>`
        select table_name as name from information_schema.tables
        where table_schema = 'public' and table_type = 'BASE TABLE'`.execute(db);
      const stored = [];
      for (const table of tables) {
        const { rows } = await sql<{ text: string }>`
          select ${table.name} || ' ' || to_jsonb(t) as text from ${sql.table(table.name)} t
          where to_jsonb(t)::text like ${`%${name}%`}`.execute(db);
        stored.push(...rows.map(({ text }) => text));
      }
      return stored;
    }),
  );
  return found.flat().toSorted();
}
