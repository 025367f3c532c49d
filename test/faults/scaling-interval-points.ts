import type { Client, WorkflowHandle } from '@temporalio/client';
import { workflowTypes, type ScalingIntervalReport } from '../../src/contracts/workflow-inputs.js';
import type { Violation } from '../support/checker.js';
import { membersOf, useSlots } from '../support/clusters.js';
import { waitFor } from '../support/wait-for.js';
import type { Deployment } from './deployment.js';
import { clusterWithHeadroom } from './scaling-points.js';

/** Settings without soaks, in which new members count at once and usage stays fresh however long a recovery takes. */
export const intervalSettings = {
  scaling: { sample_period: 300, new_member: 0, soak_grow: 0, soak_shrink: 0 },
} as const;

const betweenStarts = 'between two starts';
const betweenScalings = 'between its two scalings';
const secondBegins = 'where its second scaling begins';

/**
 * Where the worker is killed in a run of the scaling interval: around the transaction that records a page of
 * assessments; when some of the scalings are started and others are not; and while a member moves from one cluster to
 * another, above all between the end of the scaling that releases it and the start of the one that adds it.
 */
export const intervalPoints = {
  assessing: ['assessPage:before', 'assessPage:recommended', 'assessPage:after-commit'],
  starting: [betweenStarts],
  moving: [
    'adjustCluster:leave:after-commit',
    'verifyStability:after-commit',
    betweenScalings,
    secondBegins,
    'adjustCluster:join:after-commit',
  ],
} as const satisfies Readonly<Record<string, readonly string[]>>;

export type IntervalPhase = keyof typeof intervalPoints;

/** The kinds of clusters: how each one is set up, and how the run must leave it. */
const kinds = {
  due: { size: 3, spare: 2, slots: 3.6, end: { started: true, size: 5 } },
  giver: { size: 5, spare: 0, slots: 1.2, end: { started: false, size: 4 } },
  // Busy enough to receive a moved member, and not busy enough to grow by itself.
  taker: { size: 5, spare: 0, slots: 3.1, end: { started: false, size: 6 } },
} as const;

type Kind = keyof typeof kinds;

const worlds: Readonly<Record<IntervalPhase, readonly Kind[]>> = {
  assessing: ['due', 'due', 'giver', 'taker'],
  starting: Array.from({ length: 8 }, () => 'due' as const),
  moving: ['giver', 'taker'],
};

interface Placed {
  readonly kind: Kind;
  readonly clusterId: string;
}

export interface IntervalEnd {
  readonly assessed: number;
  readonly postponed: number;
  /** For each cluster: whether the report lists it as started, the states of its scalings, and its size. */
  readonly clusters: readonly {
    readonly kind: Kind;
    readonly started: boolean;
    readonly scaled: readonly string[];
    readonly size: number;
  }[];
  /** For each member that the report lists as moved: whether it is in the cluster that should receive it. */
  readonly moved: readonly boolean[];
  readonly violations: readonly Violation[];
}

/** The same end for every crash point. */
export const intervalEnd = (phase: IntervalPhase): IntervalEnd => ({
  assessed: worlds[phase].length,
  postponed: 0,
  clusters: worlds[phase].map((kind) => ({ kind, scaled: ['completed'], ...kinds[kind].end })),
  moved: worlds[phase].includes('taker') ? [true] : [],
  violations: [],
});

let runs = 0;

/** Kills the worker at a point of a scaling interval, waits until its scalings end, and dissolves the clusters. */
export async function crashInInterval(
  deployment: Deployment,
  client: Client,
  { phase, point }: { readonly phase: IntervalPhase; readonly point: string },
): Promise<IntervalEnd & { readonly recoveryMs: number }> {
  runs += 1;
  const name = `interval-${runs}`;
  const placed = await place(deployment, name, phase);
  deployment.arm(point.includes(':') ? [point] : []);
  const interval = await client.workflow.start<() => Promise<ScalingIntervalReport>>(workflowTypes.scalingInterval, {
    workflowId: `${deployment.id}/scaling-interval/${name}`,
    taskQueue: deployment.id,
    args: [],
  });
  if (point === betweenStarts) await killBetweenStarts(deployment, interval, placed.length);
  else if (point === betweenScalings) await killBetweenScalings(deployment, interval);
  else await crashAt(deployment, point === secondBegins ? await armSecond(deployment, placed) : point);
  const crashedMs = performance.now();
  const report = await interval.result();
  // The interval does not wait for the scalings that it started.
  await waitFor('every scaling to begin', async () => {
    const scaled = await Promise.all(placed.map(({ clusterId }) => scalingsOf(deployment, clusterId)));
    return scaled.every((states) => states.length > 0);
  });
  await deployment.settle();
  const recoveryMs = performance.now() - crashedMs;
  const takers = placed.filter(({ kind }) => kind === 'taker');
  const taken = await Promise.all(takers.map(({ clusterId }) => membersOf(deployment.stores.clusters, clusterId)));
  const end = {
    assessed: report.assessed,
    postponed: report.postponed,
    clusters: await Promise.all(
      placed.map(async ({ kind, clusterId }) => ({
        kind,
        started: report.started.includes(clusterId),
        scaled: await scalingsOf(deployment, clusterId),
        size: (await membersOf(deployment.stores.clusters, clusterId)).length,
      })),
    ),
    moved: report.moved.map((agentId) => taken.flat().includes(agentId)),
    violations: await deployment.check(),
    recoveryMs,
  };
  await clearAway(deployment, placed);
  return end;
}

/** Forms the clusters of a phase and records their usage. */
async function place(deployment: Deployment, name: string, phase: IntervalPhase): Promise<Placed[]> {
  const placed = await Promise.all(
    worlds[phase].map(async (kind, index) => {
      const id = `${name}-${kind}-${index}`;
      const { size, spare } = kinds[kind];
      // Members can be moved only between clusters that require the same capability.
      const capability = kind === 'due' ? id : name;
      return { kind, clusterId: await clusterWithHeadroom(deployment, id, size, { spare, capability }) };
    }),
  );
  const { clusters, resources } = deployment.stores;
  for (const { kind, clusterId } of placed) {
    await useSlots(resources, await membersOf(clusters, clusterId), kinds[kind].slots);
  }
  return placed;
}

/** The states of the scalings of a cluster. */
async function scalingsOf({ stores }: Deployment, clusterId: string): Promise<string[]> {
  const rows = await stores.clusters
    .selectFrom('operations')
    .select('state')
    .where('kind', '=', 'SCALING')
    .where('clusterId', '=', clusterId)
    .execute();
  return rows.map(({ state }) => state);
}

const crashAt = (deployment: Deployment, point: string): Promise<unknown> =>
  waitFor(`the crash at ${point}`, () => deployment.fired(point) !== undefined, { timeoutMs: 60_000, everyMs: 5 });

const kill = ({ workers }: Deployment): void => {
  for (const worker of workers) worker.signal('SIGKILL');
};

async function killBetweenStarts(deployment: Deployment, interval: WorkflowHandle, due: number): Promise<void> {
  const started = async (): Promise<number> =>
    ((await interval.fetchHistory()).events ?? []).filter((event) => event.childWorkflowExecutionStartedEventAttributes)
      .length;
  await waitFor('the first start', async () => (await started()) > 0, { timeoutMs: 60_000, everyMs: 1 });
  kill(deployment);
  const before = await started();
  if (before === due) throw new Error(`All ${due} had been started when the worker was killed`);
}

async function killBetweenScalings(deployment: Deployment, interval: WorkflowHandle): Promise<void> {
  const isOver = async (): Promise<boolean> =>
    ((await interval.fetchHistory()).events ?? []).some(
      (event) => event.childWorkflowExecutionCompletedEventAttributes,
    );
  await waitFor('the end of its first scaling', isOver, { timeoutMs: 60_000, everyMs: 1 });
  kill(deployment);
}

/** Arms a failpoint once the first scaling of a move has begun, so that it fires in the second. @returns the point. */
async function armSecond(deployment: Deployment, placed: readonly Placed[]): Promise<string> {
  const giver = placed.find(({ kind }) => kind === 'giver')?.clusterId ?? '';
  await waitFor('its first scaling', async () => (await scalingsOf(deployment, giver)).length > 0, { everyMs: 1 });
  const point = 'assessNeeds:admitted:before';
  deployment.arm([point]);
  return point;
}

/** Dissolves the clusters of a run, because the next run on the deployment assesses all clusters. */
async function clearAway({ manager }: Deployment, placed: readonly Placed[]): Promise<void> {
  await Promise.all(
    placed.map(async ({ clusterId }) => {
      const operationId = `end-${clusterId}`;
      await manager.result(await manager.startDissolution({ operationId, clusterId, drainSeconds: 0 }));
    }),
  );
}
