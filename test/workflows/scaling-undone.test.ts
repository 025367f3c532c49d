import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { newMessage } from '../../src/contracts/messages.js';
import { acceptMessages } from '../../src/messaging/accept-messages.js';
import { findOperation } from '../../src/stores/clusters/index.js';
import {
  findDecision,
  findCapacityRequest,
  listCapacityRequests,
  saveDecision,
} from '../../src/stores/resources/index.js';
import { callActivities } from '../concurrency/run-formation.js';
import { scaleDirectly } from '../invariants/scaling-fixture.js';
import { checkInvariants } from '../support/checker.js';
import { clusterOf, membersOf, type Fleet } from '../support/clusters.js';
import { createTestDatabases, type TestDatabases } from '../support/database.js';
import { messagingOf } from '../support/messaging.js';
import { waitFor } from '../support/wait-for.js';
import { startTestWorker, testSettings, type TestWorker } from '../support/worker.js';

let stores: TestDatabases;
let worker: TestWorker;
let fleet: Fleet;

beforeAll(async () => {
  stores = await createTestDatabases();
  worker = await startTestWorker(stores, {
    settings: { scaling: { ...testSettings.scaling, newMemberSeconds: 0, soakGrowSeconds: 0, soakShrinkSeconds: 0 } },
  });
  fleet = { clusters: stores.clusters, manager: worker.manager };
});
afterAll(async () => {
  await worker?.stop();
  await stores?.drop();
});

describe('a scaling that is cancelled', () => {
  it('a scaling cancelled while it waits for the orchestrator withdraws its capacity request', async () => {
    const clusterId = await clusterOf(fleet, 'asking', 3);
    const running = worker.manager.scaleCluster({ requestId: 'asking-scale', clusterId, desired: 5 });
    const request = await waitFor(
      'a request',
      async () => (await listCapacityRequests(stores.resources, { clusterId, limit: 1 }))[0],
    );
    await worker.manager.cancel('scaling/asking-scale');
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    expect(await findCapacityRequest(stores.resources, request.id)).toMatchObject({ state: 'expired' });
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('a scaling cancelled while it drains releases its departing members and records its change', async () => {
    const clusterId = await clusterOf(fleet, 'drained', 5);
    // Each member has mail of the cluster that nobody acks.
    await acceptMessages(messagingOf(stores.communication), [
      {
        sender: { source: '/orchestrator/test', agentId: null },
        message: newMessage.parse({ id: 'work', to: { cluster: clusterId }, type: 'task', data: null }),
      },
    ]);
    const running = worker.manager.scaleCluster({ requestId: 'drained-scale', clusterId, desired: 3 });
    await waitFor('the drain', async () => (await membersOf(stores.clusters, clusterId, 'leaving')).length === 2);
    await worker.manager.cancel('scaling/drained-scale');
    await expect(running).rejects.toMatchObject({ code: 'cancelled' });
    expect(await membersOf(stores.clusters, clusterId, 'leaving')).toEqual([]);
    const { rows: changes } = await sql`
      select direction, members from scaling_changes where cluster_id = ${clusterId}`.execute(stores.resources);
    expect(changes).toEqual([{ direction: 'in', members: 2 }]);
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('a scaling of a cluster that changed after its assessment', () => {
  it('a scaling of a cluster that changed never shrinks it below its minimum', async () => {
    const clusterId = await clusterOf(fleet, 'lessened', 4);
    const call = callActivities(stores);
    const ids = { operationId: 'lessened-scale', clusterId };
    const request = { requestId: ids.operationId, clusterId, desired: 3 };
    await call('assessNeeds', { ...ids, workflowId: 'scaling/lessened-scale', request });
    // As if the cluster had had five members when these two were chosen.
    await sql`
      update operation_steps set result = jsonb_set(result, '{victims}', '["lessened-0", "lessened-1"]')
      where operation_id = ${ids.operationId} and step = 'assessNeeds'`.execute(stores.clusters);
    const { plan } = await call('allocateResources', { ...ids, round: 0 });
    expect(plan.leaving).toEqual(['lessened-0']);
    const error = { code: 'cancelled' as const, detail: 'by the test' };
    await call('compensateScaling', { ...ids, error });
    await call('settleOperation', { ...ids, state: 'cancelled', error });
    expect(await checkInvariants(stores)).toEqual([]);
  });

  it('a scaling that ended before its operation was stored leaves no decision without an outcome', async () => {
    const clusterId = await clusterOf(fleet, 'vanished', 3);
    const ids = { operationId: 'vanished-scale', clusterId };
    const decision = { id: 'dec_vanished-scale', ...ids, round: 0, atMs: Date.now(), decision: {}, facts: {} };
    await saveDecision(stores.resources, { ...decision, sentence: 'it grows' });
    const error = { code: 'state_conflict' as const, detail: 'dissolved meanwhile' };
    await callActivities(stores)('compensateScaling', { ...ids, error });
    expect(await findDecision(stores.resources, decision.id)).toMatchObject({ outcome: 'failed' });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('scalings of one cluster', () => {
  it('of concurrent scalings of one cluster one runs and the others are refused', async () => {
    const clusterId = await clusterOf(fleet, 'rivals', 3, { spare: 6 });
    const call = callActivities(stores);
    const results = await Promise.allSettled(
      Array.from({ length: 6 }, (_, index) => {
        const operationId = `rivals-${index}`;
        const request = { requestId: operationId, clusterId, desired: 4 };
        return call('assessNeeds', { operationId, workflowId: `scaling/${operationId}`, request });
      }),
    );
    const refused = results.flatMap((result) => (result.status === 'rejected' ? [String(result.reason)] : []));
    expect(refused).toHaveLength(5);
    for (const reason of refused) expect(reason).toContain('is being scaled by operation rivals-');
    const { id } = await stores.clusters
      .selectFrom('operations')
      .select('id')
      .where('clusterId', '=', clusterId)
      .where('kind', '=', 'SCALING')
      .executeTakeFirstOrThrow();
    await scaleDirectly(call, { requestId: id, clusterId, desired: 4 });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});

describe('a soak', () => {
  it('a soak is judged once, and a repeated attempt returns the same verdict after the score changed', async () => {
    const clusterId = await clusterOf(fleet, 'judged', 3, { spare: 1 });
    const call = callActivities(stores);
    const ids = { operationId: 'judged-scale', clusterId };
    const request = { requestId: ids.operationId, clusterId, desired: 4 };
    await call('assessNeeds', { ...ids, workflowId: 'scaling/judged-scale', request });
    await call('allocateResources', { ...ids, round: 0 });
    await call('adjustCluster', { ...ids, round: 0 });
    const verify = { ...ids, round: 0, sinceMs: 0, isLastSample: true };
    await stores.clusters
      .updateTable('agents')
      .set({ readiness: 'unavailable' })
      .where('id', 'like', 'judged-%')
      .execute();
    expect(await call('verifyStability', verify)).toMatchObject({ state: 'roll_back' });
    await stores.clusters.updateTable('agents').set({ readiness: 'ready' }).where('id', 'like', 'judged-%').execute();
    for (let again = 0; again < 3; again += 1) {
      expect(await call('verifyStability', verify)).toMatchObject({ state: 'roll_back' });
    }
    const error = { code: 'cancelled' as const, detail: 'by the test' };
    await call('compensateScaling', { ...ids, error });
    await call('settleOperation', { ...ids, state: 'cancelled', error });
    expect(await findOperation(stores.clusters, ids.operationId)).toMatchObject({ state: 'cancelled' });
    expect(await checkInvariants(stores)).toEqual([]);
  });
});
