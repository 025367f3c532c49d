import { answerInvitation } from '../../src/stores/clusters/index.js';
import { listCapacityRequests } from '../../src/stores/resources/index.js';
import type { TestDatabases } from '../support/database.js';
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
  const clusterOf = async (name: string, size: number, { spare = 0, acceptance = 'auto' as 'auto' | 'ask' } = {}) => {
    const offers = { capabilities: [name], resources: { slots: 4 } };
    await addAgents(clusters, size, offers, name);
    const formation = { requestId: name, name, requiredCapabilities: [name], size: { desired: size, max: 10 } };
    const { clusterId } = await manager.formCluster(formation);
    await addAgents(clusters, spare, { ...offers, acceptance }, `${name}-spare`);
    return clusterId;
  };
  const members = async (clusterId: string, state: 'active' | 'leaving' | 'reserved') => {
    const rows = await clusters
      .selectFrom('memberships')
      .select(['agentId as id', 'answer'])
      .where('clusterId', '=', clusterId)
      .where('state', '=', state)
      .execute();
    return rows;
  };
  const settled = (workflowId: string): Promise<unknown> => manager.result(workflowId).catch(() => undefined);
  const hasDrained = (workflowId: string): Promise<true> =>
    waitFor(`a timer of ${workflowId}`, async () => {
      const { events } = await client.workflow.getHandle(workflowId).fetchHistory();
      return (events ?? []).some((event) => event.timerStartedEventAttributes);
    });

  // The headroom, a part of the whole fleet, stays free because of these.
  await addAgents(clusters, 20, { capabilities: ['idle'] }, 'idle');

  const calm = await clusterOf('calm', 3);
  await manager.scaleCluster({ requestId: 'unchanged', clusterId: calm });
  await save('scaling-unchanged', 'scaling/unchanged');

  const polite = await clusterOf('polite', 3, { spare: 1, acceptance: 'ask' });
  const grown = await manager.startScaling({ requestId: 'grown', clusterId: polite, desired: 4, soakSeconds: 3 });
  await waitFor('the invitation', async () =>
    (await members(polite, 'reserved')).some(({ answer }) => answer === 'invited'),
  );
  await answerInvitation(clusters, polite, 'polite-spare-0', { answer: 'accept' });
  await manager.wake(grown.workflowId);
  await settled(grown.workflowId);
  await save('scaling-grown', grown.workflowId);

  const wide = await clusterOf('wide', 4);
  await sendToMembers(stores, wide);
  const shrunk = await manager.startScaling({ requestId: 'shrunk', clusterId: wide, desired: 3, soakSeconds: 3 });
  await hasDrained(shrunk.workflowId);
  const drained = (await members(wide, 'leaving')).map(({ id }) => id);
  await ackInboxes(stores, drained);
  await settled(shrunk.workflowId);
  await save('scaling-shrunk', shrunk.workflowId);

  const short = await clusterOf('short', 3);
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

  const frail = await clusterOf('frail', 3, { spare: 2 });
  const frailOnes = (await members(frail, 'active')).map(({ id }) => id);
  const back = await manager.startScaling({ requestId: 'rolled-back', clusterId: frail, desired: 5, soakSeconds: 3 });
  await waitFor('the growth', async () => (await members(frail, 'active')).length === 5);
  const unready = [...frailOnes.slice(0, 1), 'frail-spare-0', 'frail-spare-1'];
  await clusters.updateTable('agents').set({ readiness: 'unavailable' }).where('id', 'in', unready).execute();
  await settled(back.workflowId);
  await save('scaling-rolled-back', back.workflowId);

  const busy = await clusterOf('halted', 4);
  await sendToMembers(stores, busy);
  const halted = await manager.startScaling({ requestId: 'halted-scale', clusterId: busy, desired: 3 });
  await hasDrained(halted.workflowId);
  await manager.cancel(halted.workflowId);
  await settled(halted.workflowId);
  await save('scaling-cancelled', halted.workflowId);

  await settled((await manager.startScaling({ requestId: 'nowhere', clusterId: 'cl_nowhere' })).workflowId);
  await save('scaling-refused', 'scaling/nowhere');
}
