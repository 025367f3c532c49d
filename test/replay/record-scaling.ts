import { answerInvitation } from '../../src/stores/clusters/index.js';
import { listCapacityRequests } from '../../src/stores/resources/index.js';
import type { TestDatabases } from '../support/database.js';
import { clusterOf, membersOf } from '../support/clusters.js';
import { addAgents } from '../support/fleet.js';
import { waitFor } from '../support/wait-for.js';
import { ackInboxes, sendToMembers } from '../support/cluster-messages.js';
import type { TestWorker } from '../support/worker.js';
import { saver } from './save-history.js';

/**
 * Runs scale_cluster to each of its outcomes: unchanged, grown, shrunk, granted, unanswered, rolled back, cancelled, refused.
 * @param worker with settings that make no run soak unless its request asks for it.
 */
export async function recordScaling(stores: TestDatabases, worker: TestWorker): Promise<void> {
  const { manager, client } = worker;
  const { clusters, resources } = stores;
  const save = saver(worker);
  const fleet = { clusters, manager };
  const settled = (workflowId: string): Promise<unknown> => manager.result(workflowId).catch(() => undefined);
  const hasDrained = (workflowId: string): Promise<true> =>
    waitFor(`a timer of ${workflowId}`, async () => {
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      return (events ?? []).some((event) => event.timerStartedEventAttributes);
    });

  // The headroom, a part of the whole fleet, stays free because of these.
  await addAgents(clusters, 20, { capabilities: ['idle'] }, 'idle');

  const calm = await clusterOf(fleet, 'calm', 3);
  await manager.scaleCluster({ requestId: 'unchanged', clusterId: calm });
  await save('scaling-unchanged', 'scaling/unchanged');

  const polite = await clusterOf(fleet, 'polite', 3);
  await addAgents(clusters, 1, { capabilities: ['polite'], acceptance: 'ask' }, 'polite-spare');
  const grown = await manager.startScaling({ requestId: 'grown', clusterId: polite, desired: 4, soakSeconds: 3 });
  await waitFor('the invitation', () =>
    clusters
      .selectFrom('memberships')
      .select('agentId')
      .where('clusterId', '=', polite)
      .where('answer', '=', 'invited')
      .executeTakeFirst(),
  );
  await answerInvitation(clusters, polite, 'polite-spare-0', { answer: 'accept' });
  await manager.wake(grown.workflowId);
  await settled(grown.workflowId);
  await save('scaling-grown', grown.workflowId);

  const wide = await clusterOf(fleet, 'wide', 4);
  await sendToMembers(stores, wide);
  const shrunk = await manager.startScaling({ requestId: 'shrunk', clusterId: wide, desired: 3, soakSeconds: 3 });
  await hasDrained(shrunk.workflowId);
  await ackInboxes(stores, await membersOf(clusters, wide, 'leaving'));
  await settled(shrunk.workflowId);
  await save('scaling-shrunk', shrunk.workflowId);

  const short = await clusterOf(fleet, 'short', 3);
  const granted = await manager.startScaling({ requestId: 'granted', clusterId: short, desired: 4 });
  const request = await waitFor(
    'the request',
    async () => (await listCapacityRequests(resources, { clusterId: short, limit: 1 }))[0],
  );
  await addAgents(clusters, 1, { capabilities: ['short'] }, 'short-granted');
  await manager.grantResources(granted.workflowId, { requestId: request.id });
  await settled(granted.workflowId);
  await save('scaling-granted', granted.workflowId);

  await manager.scaleCluster({ requestId: 'silent', clusterId: calm, desired: 4, grantSeconds: 1 });
  await save('scaling-unanswered', 'scaling/silent');

  const frail = await clusterOf(fleet, 'frail', 3);
  const [firstFrail = ''] = await membersOf(clusters, frail);
  const joining = await addAgents(clusters, 2, { capabilities: ['frail'] }, 'frail-spare');
  const back = await manager.startScaling({ requestId: 'rolled-back', clusterId: frail, desired: 5, soakSeconds: 3 });
  await waitFor('the growth', async () => (await membersOf(clusters, frail)).length === 5);
  const unready = [firstFrail, ...joining];
  await clusters.updateTable('agents').set({ readiness: 'unavailable' }).where('id', 'in', unready).execute();
  await settled(back.workflowId);
  await save('scaling-rolled-back', back.workflowId);

  const busy = await clusterOf(fleet, 'halted', 4);
  await sendToMembers(stores, busy);
  const halted = await manager.startScaling({ requestId: 'halted-scale', clusterId: busy, desired: 3 });
  await hasDrained(halted.workflowId);
  await manager.cancel(halted.workflowId);
  await settled(halted.workflowId);
  await save('scaling-cancelled', halted.workflowId);

  await settled((await manager.startScaling({ requestId: 'nowhere', clusterId: 'cl_nowhere' })).workflowId);
  await save('scaling-refused', 'scaling/nowhere');
}
