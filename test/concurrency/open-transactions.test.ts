import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CommunicationRequest } from '../../src/contracts/communication.js';
import { inTransaction } from '../../src/stores/clusters/index.js';
import { openInbox, routingTable } from '../../src/stores/communication/index.js';
import { cancelledByTest, membersOf } from '../support/clusters.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { watchOpenTransactions } from '../support/open-transactions.js';
import { callActivities, dissolveDirectly, formDirectly, undoDirectly, type Call } from './run-formation.js';

let stores: TestDatabases;
let watch: ReturnType<typeof watchOpenTransactions>;
let call: Call;

beforeAll(async () => {
  stores = await createTestDatabases();
});
beforeEach(() => {
  watch = watchOpenTransactions(stores);
  call = callActivities(watch.stores);
});
afterAll(() => stores?.drop());

const form = async (name: string, size = 3, spare = 0): Promise<string> => {
  await addAgents(stores.clusters, size + spare, { capabilities: [name] }, name);
  const sizes = { min: 3, desired: size, max: 10 };
  const formed = await formDirectly(call, { requestId: name, name, requiredCapabilities: [name], size: sizes });
  expect(formed.state).toBe('formed');
  return `cl_${name}`;
};

describe('a transaction of one database', () => {
  it('is reported as a violation when another database is queried before it ends', async () => {
    const { clusters, communication } = watch.stores;
    await inTransaction(clusters, () => routingTable(communication, 'cl_none'));
    expect(watch.violations).toEqual([expect.stringContaining('communication_db is queried')]);
  });

  it('is not open in a formation, its compensation, a repair or a dissolution while another database is called', async () => {
    const clusterId = await form('formed');
    await addAgents(stores.clusters, 2, { capabilities: ['formed'], acceptance: 'ask' }, 'formed-spare');
    await stores.clusters
      .updateTable('agents')
      .set({ leaseExpiresAt: new Date(0) })
      .where('id', '=', 'formed-0')
      .execute();
    const ids = { operationId: 'mend', clusterId };
    await call('identifyAgents', { ...ids, workflowId: `repair/${clusterId}`, round: 0, for: { repair: clusterId } });
    await call('defineCluster', { ...ids, round: 0 });
    expect(await call('establishConnections', ids)).toMatchObject({ waitSeconds: expect.any(Number) });
    await undoDirectly(call, ids, { state: 'compensated', ...cancelledByTest });
    await call('runFormationInterval', {});
    await dissolveDirectly(call, clusterId);
    expect(watch.violations).toEqual([]);
  });

  it('is not open in a step of manage_communication while another database is called', async () => {
    const clusterId = await form('talks');
    await openInbox(stores.communication, 'talks-0', ['talks']);
    const operationId = 'talk';
    const request: CommunicationRequest = {
      requestId: operationId,
      messages: [{ to: { agent: 'talks-0' }, type: 'note', data: 1 }],
      broadcasts: [{ to: { cluster: clusterId }, type: 'note', data: 1, require: 'all', deadlineSeconds: 600 }],
      topics: [
        { action: 'create', name: 'news' },
        { action: 'subscribe', agentId: 'talks-0', pattern: 'news' },
        { action: 'publish', name: 'news', type: 'note', data: 1 },
        { action: 'unsubscribe', agentId: 'talks-0', pattern: 'news' },
        { action: 'delete', name: 'news', mode: 'force' },
      ],
      routing: [{ clusterId }],
    };
    await call('routeMessages', { operationId, workflowId: `communication/${operationId}`, request });
    expect(await call('handleBroadcasts', { operationId })).toMatchObject({ open: 1 });
    await stores.communication
      .updateTable('receipts')
      .set({ deadlineAt: new Date(0) })
      .execute();
    expect(await call('handleBroadcasts', { operationId })).toMatchObject({ open: 0 });
    const outcomes = await call('manageTopics', { operationId });
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([
      ...['created', 'subscribed', 'published', 'unsubscribed', 'deleted'],
    ]);
    await call('updateRouting', { operationId });
    expect(watch.violations).toEqual([]);
  });

  it('is not open in a step of scale_cluster or its compensation while another database is called', async () => {
    const clusterId = await form('scales', 3, 1);
    const scale = async (operationId: string, desired: number) => {
      const ids = { operationId, clusterId, round: 0 };
      const request = { requestId: operationId, clusterId, desired, drainSeconds: 0, soakSeconds: 60 };
      await call('assessNeeds', { operationId, workflowId: `scaling/${operationId}`, request });
      const { capacityRequest } = await call('allocateResources', ids);
      expect(await call('adjustCluster', ids)).toMatchObject({ waitSeconds: null });
      return { ids, capacityRequest };
    };
    const grown = await scale('grow', 6);
    expect(grown.capacityRequest).not.toBeNull();
    const sinceMs = Date.now();
    for (const state of ['waiting', 'waiting', 'passed']) {
      const verify = { ...grown.ids, sinceMs, isLastSample: state === 'passed' };
      expect(await call('verifyStability', verify)).toMatchObject({ state });
    }
    await call('settleScaling', grown.ids);
    const shrunk = await scale('shrink', 3);
    await call('settleScaling', shrunk.ids);
    const cancelled = await scale('cancel', 5);
    await call('compensateScaling', { ...cancelled.ids, error: cancelledByTest });
    await call('settleOperation', { ...cancelled.ids, state: 'cancelled', error: cancelledByTest });
    await call('assessPage', { after: '', limit: 10, dryRun: false, balance: null });
    expect(await membersOf(stores.clusters, clusterId)).not.toEqual([]);
    expect(watch.violations).toEqual([]);
  });
});
