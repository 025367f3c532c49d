import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, DefaultLogger, Worker, type WorkflowBundle } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { createTestDatabases } from '../support/database.js';
import { startTestWorker, testSettings } from '../support/worker.js';
import { fromJson } from './history-json.js';
import { recordCommunication, recordHistories } from './record-histories.js';
import { recordScaling } from './record-scaling.js';
import { recordScalingInterval } from './record-scaling-interval.js';
import { historiesFolder } from './save-history.js';

/** Bundled in the same way as the worker's workflows. */
const bundle = (path: string): Promise<WorkflowBundle> => {
  const workflowsPath = fileURLToPath(new URL(path, import.meta.url));
  return bundleWorkflowCode({
    workflowsPath,
    preloadModules: [workflowsPath],
    logger: new DefaultLogger('ERROR'),
  });
};

/** RECORD=1 records the histories again: only when a change to the workflows is meant to break running ones. */
const recording = process.env['RECORD'];

const recorded = () =>
  readdirSync(historiesFolder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => ({
      workflowId: file,
      history: fromJson(readFileSync(new URL(file, historiesFolder), 'utf8')),
    }));

async function replay(workflowBundle: WorkflowBundle, histories: ReturnType<typeof recorded>) {
  const results = [];
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle }, histories)) {
    results.push({ workflowId, error });
  }
  return results;
}

beforeAll(async () => {
  if (!recording) return;
  const stores = await createTestDatabases();
  const scaling = { ...testSettings.scaling, newMemberSeconds: 0, soakGrowSeconds: 0, soakShrinkSeconds: 0 };
  const settings = { invitationTimeoutSeconds: 1, invitationTries: 2, scaling };
  const worker = await startTestWorker(stores, { settings });
  try {
    // RECORD=communication, RECORD=scaling and RECORD=scaling-interval record only those.
    if (recording === '1') await recordHistories(stores, worker);
    if (!recording.startsWith('scaling')) await recordCommunication(stores, worker);
    if (['1', 'scaling'].includes(recording)) await recordScaling(stores, worker);
    if (recording !== 'communication') await recordScalingInterval(stores);
  } finally {
    await worker.stop();
    await stores.drop();
  }
}, 300_000);

describe('recorded histories', () => {
  it('exist for every workflow and each of its outcomes', () => {
    expect(recorded().map(({ workflowId }) => workflowId.replace('.json', ''))).toEqual([
      'communication-cancelled',
      'communication-completed',
      'communication-refused',
      'communication-unmet',
      'communication-waited',
      'dissolution-dissolved',
      'formation-cancelled',
      'formation-compensated',
      'formation-formed',
      'formation-interval-dry-run',
      'formation-interval-repairs',
      'formation-interval-serves',
      'formation-queued-in-vain',
      'formation-queued-then-served',
      'formation-refused',
      'repair-repaired',
      'scaling-cancelled',
      'scaling-granted',
      'scaling-grown',
      'scaling-interval-continued',
      'scaling-interval-continues',
      'scaling-interval-dry-run',
      'scaling-interval-moves',
      'scaling-interval-starts',
      'scaling-refused',
      'scaling-rolled-back',
      'scaling-shrunk',
      'scaling-unanswered',
      'scaling-unchanged',
    ]);
  });

  it('replay on the current workflows, so that running workflows survive an upgrade', async () => {
    const results = await replay(await bundle('../../src/workflows/index.ts'), recorded());
    expect(results).toHaveLength(recorded().length);
    expect(results.filter(({ error }) => error !== undefined)).toEqual([]);
  }, 60_000);

  it('fail to replay on workflows whose steps were swapped', async () => {
    const completed = [
      'formation-formed.json',
      'communication-completed.json',
      'scaling-grown.json',
      'scaling-interval-moves.json',
      'scaling-interval-continues.json',
      'scaling-interval-continued.json',
    ];
    const histories = recorded().filter(({ workflowId }) => completed.includes(workflowId));
    const results = await replay(await bundle('../support/exchanged-steps.ts'), histories);
    expect(results.map(({ error }) => error?.name)).toEqual(completed.map(() => 'DeterminismViolationError'));
  }, 60_000);
});
