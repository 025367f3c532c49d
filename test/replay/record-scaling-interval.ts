import { createActivities } from '../../src/activities/index.js';
import { workflowTypes, type ScalingIntervalInput } from '../../src/contracts/workflow-inputs.js';
import { listOperations } from '../../src/stores/clusters/index.js';
import type { TestDatabases } from '../support/database.js';
import { clusterOf, membersOf, useSlots } from '../support/clusters.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, testSettings, type TestWorker } from '../support/worker.js';
import { saver } from './save-history.js';

/** The most pages that one run assesses. */
const pagesPerRun = 20;

const settings = {
  ...testSettings,
  scaling: { ...testSettings.scaling, newMemberSeconds: 0, soakGrowSeconds: 0, soakShrinkSeconds: 0 },
};

interface Placed {
  readonly name: string;
  readonly size: number;
  readonly spare: number;
  readonly capability: string;
  /** How many of its four slots each member uses. */
  readonly slots: number;
}

const calm = (name: string): Placed => ({ name, size: 3, spare: 0, capability: name, slots: 2.6 });
const busy = (name: string): Placed => ({ ...calm(name), spare: 3, slots: 3.6 });

/**
 * Does the same for the scaling interval: a dry run, a run that starts scalings, one that moves a member, and one with more
 * pages than a run assesses.
 */
export async function recordScalingInterval(stores: TestDatabases): Promise<void> {
  const worker = await startTestWorker(stores, { settings });
  const { assessPage } = createActivities({ ...stores, settings });
  // One cluster per page instead of hundreds, so that a few clusters make the run continue as new.
  const paging = { assessPage: (input: Parameters<typeof assessPage>[0]) => assessPage({ ...input, limit: 1 }) };
  const pager = await startTestWorker(stores, { settings, activities: paging });
  const save = saver(worker);
  try {
    const [growing = ''] = await place(stores, worker, [busy('growing')]);
    await save('scaling-interval-dry-run', (await run(worker, { dryRun: true })).workflowId);
    await save('scaling-interval-starts', (await run(worker, { dryRun: false })).workflowId);
    await scaled(stores, growing);

    const pair = { size: 5, spare: 0, capability: 'moving' };
    await place(stores, worker, [
      { ...pair, name: 'gives', slots: 1.2 },
      { ...pair, name: 'takes', slots: 3.1 },
    ]);
    await save('scaling-interval-moves', (await run(worker, {})).workflowId);

    const names = Array.from({ length: pagesPerRun + 1 }, (_, page) => `page-${String(page).padStart(2, '0')}`);
    const ids = await place(stores, worker, [
      busy(names[0] ?? ''),
      ...names.slice(1, -1).map(calm),
      busy(names[pagesPerRun] ?? ''),
    ]);
    const { workflowId, firstRunId } = await run(pager, {});
    await save('scaling-interval-continues', workflowId, firstRunId);
    await save('scaling-interval-continued', workflowId);
    for (const clusterId of [ids[0], ids[pagesPerRun]]) await scaled(stores, clusterId ?? '');
  } finally {
    await pager.stop();
    await worker.stop();
  }
}

/** Forms these clusters with the given usage. All earlier ones end, because a run assesses every active cluster. */
async function place({ clusters, resources }: TestDatabases, worker: TestWorker, all: readonly Placed[]) {
  await clusters.updateTable('clusters').set({ state: 'failed' }).execute();
  const fleet = { clusters, manager: worker.manager };
  const placed: { readonly clusterId: string; readonly slots: number }[] = [];
  for (const { name, size, spare, capability, slots } of all) {
    placed.push({ clusterId: await clusterOf(fleet, name, size, { capability }), slots });
    await addAgents(clusters, spare, { capabilities: [capability], resources: { slots: 4 } }, `${name}-spare`);
  }
  for (const { clusterId, slots } of placed) await useSlots(resources, await membersOf(clusters, clusterId), slots);
  return placed.map(({ clusterId }) => clusterId);
}

let runs = 0;

async function run({ client, taskQueue }: TestWorker, input: ScalingIntervalInput) {
  runs += 1;
  const workflowId = `${taskQueue}/scaling-interval/${runs}`;
  const handle = await client.workflow.start(workflowTypes.scalingInterval, { workflowId, taskQueue, args: [input] });
  await handle.result();
  return { workflowId, firstRunId: handle.firstExecutionRunId };
}

const scaled = ({ clusters }: TestDatabases, clusterId: string): Promise<true> =>
  waitFor(`the scaling of ${clusterId}`, async () => {
    const operations = await listOperations(clusters, { clusterId, state: 'completed', limit: 10 });
    return operations.some(({ kind }) => kind === 'SCALING');
  });
