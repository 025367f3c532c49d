import { clusterView, findOperation } from '../../src/stores/clusters/index.js';
import { ackDeliveries, openInbox, leaseDeliveries } from '../../src/stores/communication/index.js';
import type { TestDatabases } from '../support/database.js';
import { claimOf } from '../stores/communication/builders.js';
import { addAgent, addAgents } from '../support/fleet.js';
import { communicationSettings } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import type { TestWorker } from '../support/worker.js';
import { saver } from './save-history.js';

/**
 * Runs formations, repairs and dissolutions to each of their outcomes on a real server, and writes their histories.
 * @param worker with an invitation timeout of 1 s and 2 tries.
 */
export async function recordHistories(stores: TestDatabases, worker: TestWorker): Promise<void> {
  const { manager, client } = worker;
  const save = saver(worker);
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
    .set({ leaseExpiresAt: new Date(0) })
    .where('id', '=', 'formed-1')
    .execute();
  await addAgent(stores.clusters, { id: 'formed-new', capabilities: ['formed'] });
  const started = new Date(Date.now() - 600_000);
  await stores.clusters.insertInto('servers').values({ id: 's', startedAt: started, seenAt: new Date() }).execute();
  await stores.clusters.updateTable('operations').set({ createdAt: started }).where('id', '=', 'refused').execute();
  await manager.runFormationInterval({ dryRun: false });
  await save('repair-repaired', 'repair/cl_formed');
  await manager.runFormationInterval({ dryRun: true });
  for await (const { workflowId } of client.workflow.list({ query: `TaskQueue = '${manager.managerId}'` })) {
    if (!workflowId.includes('/formation-interval/')) continue;
    const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
    const names = (events ?? []).map((event) => event.activityTaskScheduledEventAttributes?.activityType?.name);
    const isRepair = (events ?? []).some((event) => event.childWorkflowExecutionCompletedEventAttributes);
    if (names.includes('planFormationInterval')) await save('formation-interval-dry-run', workflowId);
    else await save(isRepair ? 'formation-interval-repairs' : 'formation-interval-serves', workflowId);
  }

  const dissolution = await manager.startDissolution({ operationId: 'end', clusterId: 'cl_formed', drainSeconds: 1 });
  await settled(dissolution);
  await save('dissolution-dissolved', dissolution);
}

/** Does the same for manage_communication: without waiting, with receipts that are acked late or never, and cancelled. */
export async function recordCommunication(stores: TestDatabases, worker: TestWorker): Promise<void> {
  const { manager, client } = worker;
  const save = saver(worker);
  const members = await addAgents(stores.clusters, 3, { capabilities: ['talk'] }, 'talk');
  for (const id of members) await openInbox(stores.communication, id, ['talk']);
  const { clusterId } = await manager.formCluster({ requestId: 'talk', name: 'talk', requiredCapabilities: ['talk'] });
  const broadcast = { to: { cluster: clusterId }, type: 'question', data: { text: 'Who is there?' } };
  const waitsForAcks = (workflowId: string, times: number): Promise<true> =>
    waitFor(`${times} timers of ${workflowId}`, async () => {
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      return (events ?? []).filter((event) => event.timerStartedEventAttributes).length >= times;
    });

  const everything = await manager.startCommunication({
    requestId: 'everything',
    messages: [{ to: { agent: 'talk-0' }, type: 'note', data: 1 }],
    broadcasts: [broadcast],
    topics: [
      { action: 'create', name: 'news' },
      { action: 'subscribe', agentId: 'talk-1', pattern: 'news' },
      { action: 'publish', name: 'news', type: 'note', data: 1 },
    ],
    routing: [{ clusterId }],
  });
  await manager.result(everything.workflowId);
  await save('communication-completed', everything.workflowId);

  const acked = await manager.startCommunication({
    requestId: 'acked',
    broadcasts: [
      { ...broadcast, require: 'all', deadlineSeconds: 600 },
      { ...broadcast, to: { cluster: 'cl_nowhere' }, require: 'all', deadlineSeconds: 1 },
    ],
  });
  await waitsForAcks(acked.workflowId, 2);
  for (const id of members) {
    const leased = await leaseDeliveries(stores.communication, id, 100, communicationSettings);
    await ackDeliveries(
      stores.communication,
      leased.map((one) => claimOf(id, one)),
    );
  }
  await manager.result(acked.workflowId);
  await save('communication-waited', acked.workflowId);

  const late = { ...broadcast, require: 'quorum' as const, deadlineSeconds: 1 };
  const unmet = await manager.startCommunication({ requestId: 'unmet', broadcasts: [late] });
  await manager.result(unmet.workflowId);
  await save('communication-unmet', unmet.workflowId);

  const halted = await manager.startCommunication({
    requestId: 'halted-broadcast',
    broadcasts: [{ ...broadcast, require: 'all', deadlineSeconds: 600 }],
  });
  await waitsForAcks(halted.workflowId, 1);
  await manager.cancel(halted.workflowId);
  await manager.result(halted.workflowId).catch(() => undefined);
  await save('communication-cancelled', halted.workflowId);

  const refused = await manager.startCommunication({ requestId: 'unclear', messages: [{ to: {} } as never] });
  await manager.result(refused.workflowId).catch(() => undefined);
  await save('communication-refused', refused.workflowId);
}
