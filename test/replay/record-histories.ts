import { writeFileSync } from 'node:fs';
import { clusterView, findOperation } from '../../src/stores/clusters/index.js';
import type { TestDatabases } from '../support/database.js';
import { addAgent, addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import type { TestWorker } from '../support/worker.js';
import { toJson } from './history-json.js';

export const historiesFolder = new URL('./histories/', import.meta.url);

/**
 * Runs every kind of workflow to each of its ends on a real server and writes their histories.
 * @param worker with an invitation time-out of 1 s and 2 tries.
 */
export async function recordHistories(stores: TestDatabases, { manager, client }: TestWorker): Promise<void> {
  const save = async (name: string, workflowId: string): Promise<void> => {
    const history = await client.workflow.getHandle(workflowId).fetchHistory();
    writeFileSync(new URL(`${name}.json`, historiesFolder), await toJson(history));
  };
  const settled = (workflowId: string): Promise<unknown> => manager.result(workflowId).catch(() => undefined);
  const form = async (requestId: string, request: object = {}): Promise<string> => {
    const input = { requestId, name: requestId, requiredCapabilities: [requestId], ...request };
    return (await manager.startFormation(input)).workflowId;
  };
  const fleet = (capability: string, agent: object = {}, count = 3) =>
    addAgents(stores.clusters, count, { capabilities: [capability], ...agent }, capability);
  const state = async (operationId: string) => (await findOperation(stores.clusters, operationId))?.state;

  await fleet('formed');
  const formed = await form('formed');
  await settled(formed);
  await save('formation-formed', formed);

  const refused = await form('refused');
  await settled(refused);
  await save('formation-refused', refused);

  await fleet('compensated', { acceptance: 'ask' });
  const compensated = await form('compensated');
  await settled(compensated);
  await save('formation-compensated', compensated);

  await fleet('cancelled', { acceptance: 'ask' });
  const cancelled = await form('cancelled');
  await waitFor('the cluster', () => clusterView(stores.clusters, 'cl_cancelled'));
  await manager.cancel(cancelled);
  await settled(cancelled);
  await save('formation-cancelled', cancelled);

  const queued = await form('queued', { onInsufficient: 'queue' });
  await waitFor('the queue', async () => (await state('queued')) === 'queued');
  await fleet('queued');
  await manager.runFormationInterval({ dryRun: false });
  await settled(queued);
  await save('formation-queued-then-served', queued);

  const impatient = await form('impatient', { onInsufficient: 'queue', queueSeconds: 1 });
  await settled(impatient);
  await save('formation-queued-in-vain', impatient);

  await stores.clusters
    .updateTable('agents')
    .set({ lease_expires_at: new Date(0) })
    .where('id', '=', 'formed-1')
    .execute();
  await addAgent(stores.clusters, { id: 'formed-new', capabilities: ['formed'] });
  const started = new Date(Date.now() - 600_000);
  await stores.clusters.insertInto('servers').values({ id: 's', started_at: started, seen_at: new Date() }).execute();
  await stores.clusters.updateTable('operations').set({ created_at: started }).where('id', '=', 'refused').execute();
  await manager.runFormationInterval({ dryRun: false });
  await save('repair-repaired', 'repair/cl_formed');
  await manager.runFormationInterval({ dryRun: true });
  for await (const { workflowId } of client.workflow.list({ query: `TaskQueue = '${manager.managerId}'` })) {
    if (!workflowId.includes('/formation-interval/')) continue;
    const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
    const names = (events ?? []).map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name);
    const isRepair = (events ?? []).some((event) => event.childWorkflowExecutionCompletedEventAttributes);
    if (names.includes('describeFormationInterval')) await save('formation-interval-dry-run', workflowId);
    else await save(isRepair ? 'formation-interval-repairs' : 'formation-interval-serves', workflowId);
  }

  const dissolution = await manager.startDissolution({ operationId: 'end', clusterId: 'cl_formed', drainSeconds: 1 });
  await settled(dissolution);
  await save('dissolution-dissolved', dissolution);
}
