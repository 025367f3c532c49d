import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CommunicationRequest } from '../../src/contracts/communication.js';
import { findOperation, releaseExpiredReservations, stepResult } from '../../src/stores/clusters/index.js';
import { findTopics, routeAndDeliver, type CommunicationDb } from '../../src/stores/communication/index.js';
import { checkInvariants } from '../support/checker.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { addAgents } from '../support/fleet.js';
import { callActivities, dissolveDirectly, formDirectly, undoDirectly, type Call } from './run-formation.js';

let stores: TestDatabases;
let call: Call;

beforeAll(async () => {
  stores = await createTestDatabases({ maxConnections: 20 });
  call = callActivities(stores);
});
afterAll(() => stores?.drop());

const failed = { state: 'compensated', code: 'deadline_exceeded', detail: 'the deadline passed' } as const;

/** Runs the first three steps of a formation. */
async function connect(requestId: string, capability: string) {
  const ids = { operationId: requestId, clusterId: `cl_${requestId}` };
  const request = { requestId, name: requestId, requiredCapabilities: [capability] };
  await call('identifyAgents', { ...ids, workflowId: `formation/${requestId}`, round: 0, for: { request } });
  await call('defineCluster', { ...ids, round: 0 });
  const { members } = await call('establishConnections', ids);
  return { ...ids, members };
}

/** Runs the first three steps of the repair of a cluster that lost one of its members. */
async function connectRepair(name: string) {
  await addAgents(stores.clusters, 3, { capabilities: [name] }, name);
  const formed = await formDirectly(call, { requestId: name, name, requiredCapabilities: [name] });
  expect(formed.state).toBe('formed');
  await addAgents(stores.clusters, 1, { capabilities: [name] }, `${name}-spare`);
  await stores.clusters
    .updateTable('agents')
    .set({ leaseExpiresAt: new Date(0) })
    .where('id', '=', `${name}-0`)
    .execute();
  const ids = { operationId: `repair-${name}`, clusterId: `cl_${name}` };
  const input = { ...ids, workflowId: `repair/cl_${name}`, round: 0, for: { repair: ids.clusterId } };
  await call('identifyAgents', input);
  await call('defineCluster', { ...ids, round: 0 });
  await call('establishConnections', ids);
  return { ids, input };
}

function barrier(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve: () => resolve() };
}

/** Activities of a worker that pauses before it writes to communication_db, until it is resumed. */
function stalledWorker(): { readonly call: Call; readonly stalled: Promise<void>; readonly resume: () => void } {
  const gate = barrier();
  const arrival = barrier();
  const stall = async (): Promise<void> => {
    arrival.resolve();
    await gate.promise;
  };
  const real = stores.communication;
  const executor = real.getExecutor();
  const stallingExecutor = new Proxy(executor, {
    get: (target, key) => {
      const value = Reflect.get(target, key) as unknown;
      if (typeof value !== 'function') return value;
      const method = (value as (...args: unknown[]) => unknown).bind(target);
      return key === 'executeQuery' ? (...args: unknown[]) => stall().then(() => method(...args)) : method;
    },
  });
  const communication = {
    getExecutor: () => stallingExecutor,
    transaction: () => ({
      execute: async (work: (tx: CommunicationDb) => Promise<unknown>) => {
        await stall();
        return real.transaction().execute(work);
      },
    }),
  } as unknown as CommunicationDb;
  return { call: callActivities({ ...stores, communication }), stalled: arrival.promise, resume: gate.resolve };
}

describe('concurrent attempts of one step', () => {
  it('two concurrent attempts of every formation step return the same formed cluster', async () => {
    await addAgents(stores.clusters, 120, { capabilities: ['twin'] }, 'twin');
    const requests = Array.from({ length: 30 }, (_, index) => {
      const request = { requestId: `twin-${index}`, name: 'twin', requiredCapabilities: ['twin'] };
      return Promise.all([formDirectly(call, request), formDirectly(call, request)]);
    });
    for (const [one, other] of await Promise.all(requests)) {
      expect(one).toMatchObject({ state: 'formed' });
      expect(other).toEqual(one);
    }
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('a reservation that expires before the last step', () => {
  it('a formation that lost a reservation before its last step is undone instead of forming a cluster below its minimum', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['shrink'] }, 'shrink');
    const { members, ...ids } = await connect('shrink', 'shrink');
    await stores.clusters
      .updateTable('memberships')
      .set({ expiresAt: new Date(0) })
      .where('agentId', '=', members[0] ?? '')
      .execute();
    expect(await releaseExpiredReservations(stores.clusters)).toBe(1);
    await expect(call('initializeCluster', ids)).rejects.toMatchObject({ type: 'ReservationLost' });
    await undoDirectly(call, ids, failed);
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('members that were informed about a cluster receive its dissolution when the formation loses all reservations', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['ghost'] }, 'ghost');
    const { members, ...ids } = await connect('ghost', 'ghost');
    const table = { clusterId: ids.clusterId, epoch: 1, members: members.map((agentId) => ({ agentId, roles: [] })) };
    const message = { id: 'ghost', source: 'm', type: 'cluster.joined', clusterId: ids.clusterId, epoch: 1, data: {} };
    await routeAndDeliver(stores.communication, table, [{ message, recipients: members }]);
    await stores.clusters
      .updateTable('memberships')
      .set({ expiresAt: new Date(0) })
      .where('state', '=', 'reserved')
      .execute();
    expect(await releaseExpiredReservations(stores.clusters)).toBe(3);
    await expect(call('initializeCluster', ids)).rejects.toMatchObject({ type: 'ReservationLost' });
    await undoDirectly(call, ids, failed);
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('an attempt that continues after its operation was undone', () => {
  it('a late attempt of the last step announces nothing after the formation was undone', async () => {
    await addAgents(stores.clusters, 3, { capabilities: ['zombie'] }, 'zombie');
    const { members: _members, ...ids } = await connect('zombie', 'zombie');
    const late = stalledWorker();
    const attempt = late.call('initializeCluster', ids);
    await late.stalled;
    await undoDirectly(call, ids, failed);
    late.resume();
    await expect(attempt).rejects.toMatchObject({ type: 'OperationEnded' });
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('a late attempt of the last step announces nothing after the repair was undone, and the next repair succeeds', async () => {
    const { ids } = await connectRepair('undone');
    const late = stalledWorker();
    const attempt = late.call('initializeCluster', ids);
    await late.stalled;
    await undoDirectly(call, ids, failed);
    late.resume();
    await expect(attempt).rejects.toMatchObject({ type: 'StateConflict' });
    expect(await checkInvariants(stores)).toEqual([]);

    const again = { operationId: 'repair-again', clusterId: ids.clusterId };
    await call('identifyAgents', { ...again, workflowId: 'w', round: 0, for: { repair: ids.clusterId } });
    await call('defineCluster', { ...again, round: 0 });
    await call('establishConnections', again);
    expect(await call('initializeCluster', again)).toMatchObject({ epoch: 3 });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('a late attempt of manageTopics', () => {
  it('a late attempt of manageTopics repeats no change that a later request has reverted', async () => {
    const spec = { action: 'create', name: 'fenced' } as const;
    const manage = async (operationId: string, topics: CommunicationRequest['topics'], through: Call) => {
      const request = { requestId: operationId, topics };
      await call('routeMessages', { operationId, workflowId: `communication/${operationId}`, request });
      await call('handleBroadcasts', { operationId });
      return through('manageTopics', { operationId });
    };
    await manage('create', [spec], call);
    const late = stalledWorker();
    const attempt = manage('delete', [{ action: 'delete', name: 'fenced', mode: 'force' }], late.call);
    await late.stalled;
    expect(await call('manageTopics', { operationId: 'delete' })).toMatchObject([{ outcome: 'deleted' }]);
    expect(await manage('create-again', [spec], call)).toMatchObject([{ outcome: 'created' }]);
    late.resume();
    expect(await attempt).toMatchObject([{ outcome: 'deleted' }]);
    expect(await findTopics(stores.communication, ['fenced'])).toHaveLength(1);
    for (const operationId of ['create', 'delete', 'create-again']) await call('updateRouting', { operationId });
  });
});

describe('a resumed repair', () => {
  it('a resumed repair is undone when its cluster was dissolved in the meantime', async () => {
    const { ids, input } = await connectRepair('gone');
    await dissolveDirectly(call, ids.clusterId);
    await call('identifyAgents', input);
    await expect(call('initializeCluster', ids)).rejects.toMatchObject({ type: 'ReservationLost' });
    await undoDirectly(call, ids, { ...failed, code: 'reservation_lost' });
    expect(await findOperation(stores.clusters, ids.operationId)).toMatchObject({ state: 'compensated' });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('compensation', () => {
  it('compensating an operation that was never accepted changes nothing', async () => {
    await undoDirectly(call, { operationId: 'unknown', clusterId: 'cl_unknown' }, failed);
    expect(await findOperation(stores.clusters, 'unknown')).toBeUndefined();
  });
});

describe('the formation queue', () => {
  it('the formation interval serves a queued request behind one that is being undone', async () => {
    for (const requestId of ['q-1', 'q-2']) {
      const ids = { operationId: requestId, clusterId: `cl_${requestId}` };
      const request = { requestId, name: 'q', requiredCapabilities: ['queued'], onInsufficient: 'queue' };
      await call('identifyAgents', { ...ids, workflowId: `formation/${requestId}`, round: 0, for: { request } });
      expect(await call('defineCluster', { ...ids, round: 0 })).toMatchObject({ state: 'queued' });
    }
    await call('releaseAgents', { operationId: 'q-1', clusterId: 'cl_q-1' });
    await addAgents(stores.clusters, 3, { capabilities: ['queued'] }, 'queued');
    const { served } = await call('runFormationInterval', {});
    expect(served.map(({ operationId }) => operationId)).toEqual(['q-2']);
    const plan = await stepResult<{ joining: unknown[] }>(stores.clusters, {
      operationId: 'q-2',
      step: 'identifyAgents',
      round: 1,
    });
    expect(plan?.joining).toHaveLength(3);
  });
});
